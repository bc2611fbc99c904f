"""Decides, by numbers alone, what of a batch the log takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from driftline.eventlog.record import Gap, Tombstone
from driftline.outbox.reader import TOMBSTONE
from driftline.transport.batch import SEPARATOR, Batch


@dataclass
class Intake:
    """What several batches come to: lines to append, and what to record with them.

    Attributes:
        payload: The lines, each ended by a newline, batch by batch.
        lines: How many they are.
        committed: The next seq to expect, for each producer that moves.
        gaps: Events that no outbox holds any more; the log goes on without them.
        tombstones: Events that came damaged.
        seen: Events that the log has already.
        early: Events that lie behind a gap which a resend will fill.
    """

    payload: list[bytes] = field(default_factory=list)
    lines: int = 0
    committed: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    seen: int = 0
    early: int = 0


def decide(batches: Iterable[Batch], committed: Mapping[str, int]) -> Intake:
    """Returns what to append and record when these batches arrive in this order.

    A batch that continues what the log has is taken; of one that overlaps it, the unseen part; one that begins beyond
    it is left for the resend, unless its producer holds nothing older any more: then the log goes on from the oldest
    that it holds, and the gap is recorded.

    Args:
        batches: Well-formed batches that are addressed to this log.
        committed: What the log has: the next seq to expect, by producer; 0 for one it has never heard of.
    """
    intake = Intake()
    for batch in batches:
        expected = intake.committed.get(batch.producer, committed.get(batch.producer, 0))
        if batch.base_seq > expected:
            intake.gaps.append(Gap(batch.producer, expected, batch.base_seq))
            expected = intake.committed[batch.producer] = batch.base_seq
        if batch.first_seq > expected:
            intake.early += batch.count
        elif batch.stop_seq <= expected:
            intake.seen += batch.count
        else:
            intake.seen += expected - batch.first_seq
            _take(intake, batch, expected)
            intake.committed[batch.producer] = batch.stop_seq
    return intake


def _take(intake: Intake, batch: Batch, from_seq: int) -> None:
    """Adds the events from this seq on; bytes that need not be looked at are not taken apart."""
    if from_seq == batch.first_seq and not batch.has_tombstones():
        intake.payload += (batch.payload, SEPARATOR)
        intake.lines += batch.count
        return
    for seq, event in enumerate(batch.events(from_seq), from_seq):
        if event == TOMBSTONE:
            intake.tombstones.append(Tombstone(batch.producer, seq))
        else:
            intake.payload += (event, SEPARATOR)
            intake.lines += 1
