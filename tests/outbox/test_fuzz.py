"""Whatever bytes stand in a segment: no error, no end that never comes, and no event that was not appended."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import TOMBSTONE, OutboxReader
from driftline.outbox.record import HEADER_BYTES, decode, encode, find_next, needed
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts, segment_name
from tests.mutations import MUTATIONS, Mutation, mutated
from tests.outbox.segments_on_disk import flip, places

EVENTS = [f'{{"event":{number},"text":"{"x" * (number % 90)}"}}'.encode() for number in range(40)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Forty events in several segments of a producer that is gone."""
    root = OutboxRoot(tmp_path_factory.mktemp("fuzz") / "outbox")
    root.create()
    outbox = Outbox(root, segment_max_bytes=900)
    for event in EVENTS:
        outbox.append(event)
    outbox._give_up()
    assert len(segment_firsts(root.path / outbox.producer)) > 2
    return root.path, outbox.producer


@settings(max_examples=150)
@given(
    damage=st.lists(st.tuples(st.integers(0, 100), MUTATIONS), min_size=1, max_size=3),
    chunk=st.tuples(st.integers(1, 50), st.sampled_from([1, 64, 1000, 1 << 16])),
)
def test_mutated_segments_give_events_in_their_places_or_tombstones(
    written: tuple[Path, str], damage: list[tuple[int, list[Mutation]]], chunk: tuple[int, int]
) -> None:
    path, producer = written
    with tempfile.TemporaryDirectory() as directory:
        root = OutboxRoot(Path(shutil.copytree(path, Path(directory) / "outbox")))
        firsts = segment_firsts(root.path / producer)
        for which, mutations in damage:
            segment = root.path / producer / segment_name(firsts[which % len(firsts)])
            segment.write_bytes(mutated(segment.read_bytes(), mutations))
        reader = OutboxReader(root, producer)
        reader.seek(0)
        read: list[bytes] = []
        for _ in range(2 * len(EVENTS)):
            first_seq, events = reader.read(*chunk)
            if not events:
                break
            assert first_seq == len(read)
            read += events
        else:
            raise AssertionError("it goes on giving events for ever")
        assert len(read) <= len(EVENTS)
        assert all(event in {TOMBSTONE, EVENTS[seq]} for seq, event in enumerate(read))
        intact = set(firsts) - {firsts[which % len(firsts)] for which, _ in damage}
        for first in intact:  # damage in one segment costs nothing of another
            stop = next((following for following in firsts if following > first), len(EVENTS))
            assert read[first:stop] == EVENTS[first:stop]
        other = OutboxReader(root, producer, sets_aside=False)
        assert other.end() <= len(EVENTS)
        other.close()
        reader.quarantine_unfinished()
        reader.close()


@given(st.binary(max_size=300), st.integers(0, 300))
def test_arbitrary_bytes_are_no_record_and_no_error(buffer: bytes, start: int) -> None:
    assert decode(buffer, start) is None
    assert find_next(buffer, start) is None
    assert needed(buffer, start) >= HEADER_BYTES


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=200), st.integers(0, 1_000_000), st.integers(0, 7))
def test_no_bit_of_a_record_can_be_flipped_without_being_noticed(
    seq: int, payload: bytes, place: int, bit: int
) -> None:
    record = bytearray(encode(seq, payload))
    record[place % len(record)] ^= 1 << bit
    assert decode(bytes(record), 0) is None


class Counting(OutboxReader):
    """Counts the bytes that it reads."""

    bytes_read = 0

    def _pread(self, offset: int, length: int) -> bytes:
        content = super()._pread(offset, length)
        self.bytes_read += len(content)
        return content


def test_what_is_read_for_each_of_thousands_of_damaged_records_does_not_grow_with_the_segment(tmp_path: Path) -> None:
    """It used to be all the rest of it: half a minute for a segment of 16 MiB."""
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    outbox = Outbox(root)
    for number in range(12_000):
        outbox.append(b"%06d" % number + b"x" * 300)
    outbox._give_up()
    lie = places(root.path / outbox.producer)
    content = bytearray(lie[0].path.read_bytes())
    for seq in range(0, 11_999, 2):
        content[lie[seq].start + 30] ^= 1
    lie[0].path.write_bytes(content)
    reader = Counting(root, outbox.producer, sets_aside=False)
    reader.seek(0)
    read = 0
    while events := reader.read(512, 256 << 10).events:
        assert all((event == TOMBSTONE) == ((read + index) % 2 == 0) for index, event in enumerate(events))
        read += len(events)
    reader.close()
    assert read == 12_000
    assert reader.bytes_read < 6_000 << 20


def test_a_flip_anywhere_in_a_small_outbox_costs_one_event_and_only_the_last_may_go_without_a_tombstone(
    written: tuple[Path, str], tmp_path: Path
) -> None:
    path, producer = written
    root = OutboxRoot(Path(shutil.copytree(path, tmp_path / "outbox")))
    for seq, place in places(root.path / producer).items():
        content = place.path.read_bytes()
        for offset in range(place.start, place.end):
            flip(place.path, offset)
            reader = OutboxReader(root, producer, sets_aside=False)
            reader.seek(0)
            read = [event for _ in EVENTS for event in reader.read(1000, 1 << 20).events]
            reader.close()
            expected = [TOMBSTONE if number == seq else event for number, event in enumerate(EVENTS)]
            assert read == (expected if seq < len(EVENTS) - 1 else expected[:-1]), (seq, offset)
            place.path.write_bytes(content)
