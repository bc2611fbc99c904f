"""Whatever a writer and a bad disk do, and however it is read: good events in order, tombstones for the rest."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import TOMBSTONE, OutboxReader
from driftline.outbox.record import encode
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts, segment_name
from tests.outbox.segments_on_disk import Place, append, overwrite

EVENTS = st.text(alphabet='{"a":1,é€𝄞}', min_size=1, max_size=120).map(str.encode)
CHUNKS = st.tuples(st.integers(1, 12), st.sampled_from([1, 30, 64, 200, 1 << 16]))
FRACTIONS = st.floats(0, 1, exclude_max=True)


class OutboxUnderFire(RuleBasedStateMachine):
    """A writer that appends, rolls over, tears and cuts back; a disk that damages; readers that read meanwhile."""

    @initialize(segment_max_bytes=st.sampled_from([1, 150, 400, 5_000]))
    def start(self, segment_max_bytes: int) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        self.root = OutboxRoot(Path(self._temporary.name) / "outbox")
        self.root.create()
        self.outbox = Outbox(self.root, segment_max_bytes=segment_max_bytes)
        self.places: list[Place] = []
        self.events: list[bytes] = []
        self.damaged: set[int] = set()
        self.living = True
        self.torn = 0
        self.readers = [OutboxReader(self.root, self.outbox.producer) for _ in range(2)]

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            for reader in self.readers:
                reader.close()
            self.outbox._give_up()
            self._temporary.cleanup()

    # -- the writer

    @precondition(lambda self: self.living and not self.torn)
    @rule(events=st.lists(EVENTS, min_size=1, max_size=8))
    def appends(self, events: list[bytes]) -> None:
        for event in events:
            seq = self.outbox.append(event)
            assert seq == len(self.events)
            path = self.directory / segment_name(segment_firsts(self.directory)[-1])
            end = path.stat().st_size
            self.places.append(Place(path, end - len(encode(seq, event)), end))
            self.events.append(event)

    @precondition(lambda self: self.events and not self.torn)
    @rule(event=EVENTS, cut=FRACTIONS)
    def is_interrupted_while_it_appends(self, event: bytes, cut: float) -> None:
        record = encode(len(self.events), event)
        self.torn = 1 + int(cut * (len(record) - 1))
        append(self.last_segment, record[: self.torn])

    @precondition(lambda self: self.living and self.torn)
    @rule()
    def cuts_back(self) -> None:
        with self.last_segment.open("r+b") as file:
            file.truncate(self.last_segment.stat().st_size - self.torn)
        self.torn = 0

    @precondition(lambda self: self.living and self.events)
    @rule()
    def is_killed(self) -> None:
        self.living = False
        self.outbox._give_up()

    @precondition(lambda self: self.living and self.events and not self.torn)
    @rule(back=st.integers(0, 4))
    def deletes_what_is_committed(self, back: int) -> None:
        committed = max(0, len(self.events) - back)
        self.outbox.release(committed)
        for reader in self.readers:
            reader.seek(max(reader.next_seq, segment_firsts(self.directory)[0]))

    @precondition(lambda self: self.living and self.events and not self.torn)
    @rule()
    def begins_a_segment_and_dies(self) -> None:
        if self.last_first < len(self.events):
            (self.directory / segment_name(len(self.events))).touch()
        self.is_killed()

    # -- the disk

    @precondition(lambda self: self.settled)
    @rule(which=FRACTIONS, where=FRACTIONS, content=st.binary(min_size=1, max_size=150))
    def is_damaged(self, which: float, where: float, content: bytes) -> None:
        seqs = self.settled
        place = self.places[seqs[int(which * len(seqs))]]
        offset = place.start + int(where * (place.end - place.start))
        same_segment = [seq for seq in seqs if self.places[seq].path == place.path]
        content = content[: self.places[same_segment[-1]].end - offset]
        before = place.path.read_bytes()
        overwrite(place.path, offset, content)
        after = place.path.read_bytes()
        for seq in same_segment:
            start, end = self.places[seq].start, self.places[seq].end
            if before[start:end] != after[start:end]:
                self.damaged.add(seq)

    # -- the readers

    @rule(which=st.integers(0, 1), chunk=CHUNKS)
    def is_read(self, which: int, chunk: tuple[int, int]) -> None:
        reader = self.readers[which]
        before = max(reader.next_seq, self.oldest)
        reader.seek(before)
        first_seq, events = reader.read(*chunk)
        assert first_seq == before
        assert len(events) <= chunk[0]
        assert events == self.expected[before : before + len(events)]
        assert bool(events) == (before < self.readable)

    @rule(which=st.integers(0, 1), where=FRACTIONS)
    def is_sought(self, which: int, where: float) -> None:
        self.readers[which].seek(self.oldest + int(where * (self.readable - self.oldest + 1)))

    @rule(which=st.integers(0, 1))
    def is_opened_anew(self, which: int) -> None:
        self.readers[which].close()
        self.readers[which] = OutboxReader(self.root, self.outbox.producer)

    @invariant()
    def its_end_is_known(self) -> None:
        if not hasattr(self, "outbox"):
            return
        reader = OutboxReader(self.root, self.outbox.producer)
        assert reader.end() == self.readable
        reader.close()

    # -- what there is

    @property
    def directory(self) -> Path:
        return self.root.path / self.outbox.producer

    @property
    def oldest(self) -> int:
        return next(iter(segment_firsts(self.directory)), 0)

    @property
    def last_first(self) -> int:
        return max(segment_firsts(self.directory), default=0)

    @property
    def last_segment(self) -> Path:
        return self.directory / segment_name(self.last_first)

    @property
    def settled(self) -> list[int]:
        """Seqs that are on disk with a good event or a segment behind them, so that their writer is done with them."""
        good = [seq for seq in range(self.last_first, len(self.events)) if seq not in self.damaged]
        return list(range(self.oldest, max(good[-1] if good else 0, self.last_first)))

    @property
    def expected(self) -> list[bytes]:
        return [TOMBSTONE if seq in self.damaged else event for seq, event in enumerate(self.events)]

    @property
    def readable(self) -> int:
        return len(self.events)


OutboxUnderFire.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestOutboxUnderFire = OutboxUnderFire.TestCase
