"""What of a batch is taken is decided by numbers alone; a reference that goes event by event decides the same."""

import itertools
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from driftline.eventlog.record import Gap, Tombstone
from driftline.outbox.reader import TOMBSTONE
from driftline.transport.batch import Batch
from driftline.worker.intake import Intake, decide

LOG = "the-log"
PRODUCERS = ("a" * 32, "b" * 32)
LENGTH = 12
"""Events of each producer."""

DAMAGED = {(PRODUCERS[0], 3), (PRODUCERS[0], 4), (PRODUCERS[1], 0), (PRODUCERS[1], LENGTH - 1)}


def event(producer: str, seq: int) -> bytes:
    return TOMBSTONE if (producer, seq) in DAMAGED else f"{producer[0]}{seq}".encode()


def batch(producer: str, base: int, first: int, stop: int) -> Batch:
    return Batch.of(LOG, producer, base, first, [event(producer, seq) for seq in range(first, stop)])


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    base, first, stop = sorted(draw(st.lists(st.integers(0, LENGTH), min_size=3, max_size=3)))
    return batch(draw(st.sampled_from(PRODUCERS)), draw(st.sampled_from([0, base])), first, stop)


@dataclass
class Reference:
    """A log that looks at one event after the other."""

    lines: list[bytes] = field(default_factory=list)
    following: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    seen: int = 0
    early: int = 0

    def take(self, batch: Batch) -> None:
        producer, following = batch.producer, self.following.get(batch.producer, 0)
        if batch.base_seq > following:
            self.gaps.append(Gap(producer, following, batch.base_seq))
            following = batch.base_seq
        for seq in range(batch.first_seq, batch.first_seq + batch.count):
            if seq > following:
                self.early += 1
            elif seq < following:
                self.seen += 1
            else:
                following += 1
                if event(producer, seq) == TOMBSTONE:
                    self.tombstones.append(Tombstone(producer, seq))
                else:
                    self.lines.append(event(producer, seq))
        if following:
            self.following[producer] = following


def lines(intake: Intake) -> list[bytes]:
    content = b"".join(intake.payload)
    assert content.count(b"\n") == intake.lines
    assert not content or content.endswith(b"\n")
    return content.splitlines()


ARRIVALS = st.lists(st.lists(batches(), max_size=6), max_size=6)


@given(arrivals=ARRIVALS)
def test_it_decides_as_the_reference_does_whatever_the_order_the_doubling_and_the_overlap(
    arrivals: list[list[Batch]],
) -> None:
    reference, committed = Reference(), dict[str, int]()
    taken, gaps, tombstones, seen, early = list[bytes](), list[Gap](), list[Tombstone](), 0, 0
    for together in arrivals:
        intake = decide(together, committed)
        for one in together:
            reference.take(one)
        committed.update(intake.committed)
        taken += lines(intake)
        gaps += intake.gaps
        tombstones += intake.tombstones
        seen += intake.seen
        early += intake.early
        assert committed == reference.following
    assert (taken, gaps, tombstones, seen, early) == (
        *(reference.lines, reference.gaps, reference.tombstones),
        *(reference.seen, reference.early),
    )


@given(arrivals=ARRIVALS)
def test_every_seq_below_what_is_committed_is_a_line_or_a_tombstone_or_in_a_gap_and_only_one_of_them(
    arrivals: list[list[Batch]],
) -> None:
    committed, accounted = dict[str, int](), list[tuple[str, int]]()
    names = {producer[0]: producer for producer in PRODUCERS}
    for together in arrivals:
        intake = decide(together, committed)
        for producer, number in intake.committed.items():
            assert number > committed.get(producer, 0), "a producer that did not move is named"
        committed.update(intake.committed)
        accounted += [(names[chr(line[0])], int(line[1:])) for line in lines(intake)]
        accounted += [(producer, seq) for producer, seq in intake.tombstones]
        accounted += [(gap.producer, seq) for gap in intake.gaps for seq in range(gap.first_seq, gap.stop_seq)]
    assert sorted(accounted) == [(name, seq) for name in sorted(committed) for seq in range(committed[name])]


@given(cuts=st.lists(st.integers(0, LENGTH), max_size=5), order=st.randoms(use_true_random=False))
def test_resending_from_what_is_committed_brings_everything_and_no_gap(cuts: list[int], order: object) -> None:
    """The relay's promise kept: base 0, every stretch sent, in any order, again and again."""
    producer, committed, taken = PRODUCERS[1], dict[str, int](), list[bytes]()
    edges = sorted({0, LENGTH, *cuts})
    stretches = [batch(producer, 0, first, stop) for first, stop in itertools.pairwise(edges)]
    for _ in range(len(stretches)):
        order.shuffle(stretches)  # type: ignore[attr-defined]  # Hypothesis' Random
        intake = decide(stretches, committed)
        assert intake.gaps == []
        committed.update(intake.committed)
        taken += lines(intake)
    assert committed == {producer: LENGTH}
    assert taken == [event(producer, seq) for seq in range(1, LENGTH - 1)]


def test_an_empty_batch_moves_a_restored_log_to_what_its_producer_still_has() -> None:
    intake = decide([batch(PRODUCERS[0], 7, 7, 7)], {PRODUCERS[0]: 2})
    assert (intake.committed, intake.gaps, intake.lines) == ({PRODUCERS[0]: 7}, [Gap(PRODUCERS[0], 2, 7)], 0)


def test_a_batch_that_is_taken_whole_is_not_taken_apart() -> None:
    whole = batch(PRODUCERS[0], 0, 0, 3)
    assert decide([whole], {}).payload[0] is whole.payload
