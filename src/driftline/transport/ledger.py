"""Where every accepted event is: the books of the outboxes against the log itself."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from driftline.errors import LogNotFoundError
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Expired, Gap
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Ledger:
    """``accepted = logged + in_flight + quarantined + expired + missing``, by counting the log's own lines.

    Attributes:
        accepted: Events that got a seq: appended to an outbox here, or known to the log.
        logged: Different events that stand in the log.
        in_flight: Events that an outbox holds and the log has not committed yet.
        quarantined: Events that were damaged on disk, in their outbox or in the log, and are set aside there.
        expired: Events that were in the log until retention deleted them.
        missing: What is left: events that are nowhere. 0, or the promise is broken.
        duplicated: Lines of the log whose event stands in it before, or has expired.
        gaps: Stretches of events that the log had to go on without; they are among the missing.
        damaged: Stretches of the log whose bytes are not those that were committed, as ``segment:start-stop``.
    """

    accepted: int
    logged: int
    in_flight: int
    quarantined: int
    expired: int
    missing: int
    duplicated: int
    gaps: tuple[Gap, ...]
    damaged: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        """Whether every accepted event is in the log or on its way there, once, and unharmed."""
        return not (self.missing or self.duplicated or self.damaged or self.quarantined)

    def as_dict(self) -> dict[str, Any]:
        """Returns it as what JSON knows."""
        return {
            **asdict(self),
            "gaps": [gap._asdict() for gap in self.gaps],
            "damaged": list(self.damaged),
            "balanced": self.balanced,
        }


def take_ledger(outbox_root: Path, log_dir: Path, progress: Progress | None = None) -> Ledger:
    """Returns the ledger of now; while events are arriving, those on their way are in flight.

    Reads the whole log, in constant memory. The outboxes are read first: what is committed meanwhile is only more.

    Args:
        outbox_root: The outboxes of this machine; need not exist.
        log_dir: The log; need not exist as long as there are outboxes.
        progress: Is told, again and again, how many bytes of how many have been read.

    Raises:
        LogNotFoundError: There is neither.
        LogDamagedError: The log cannot be read.
    """
    root = OutboxRoot(outbox_root)
    held = {producer: _look(root, producer) for producer in root.producers()}
    final = Counter(root.closed())
    for producer, here in held.items():
        final[producer] = max(here.stop, final[producer])
    try:
        while True:
            with LogReader(log_dir) as log:
                expired = log.expired()
                ledger = _settle(log, held, final, expired, progress)
                if log.expired() == expired:  # else what was counted and what is there are of two moments
                    return ledger
    except LogNotFoundError:
        if not final:
            raise
        accepted, in_flight = sum(final.values()), sum(here.beyond(0) for here in held.values())
        return Ledger(accepted, 0, in_flight, 0, 0, accepted - in_flight, 0, (), ())


class _Held(NamedTuple):
    """The events that an outbox holds: ``base <= seq < stop``."""

    base: int
    stop: int

    def beyond(self, committed: int, stop: int | None = None) -> int:
        """Returns how many of them a log lacks that has those below ``committed``; of those below ``stop`` only."""
        return max(0, min(self.stop, self.stop if stop is None else stop) - max(self.base, committed))


def _settle(
    log: LogReader,
    held: Mapping[str, _Held],
    final: Counter[str],
    stretches: Iterable[Expired],
    progress: Progress | None,
) -> Ledger:
    gone: dict[str, list[Expired]] = {}
    for stretch in stretches:
        gone.setdefault(stretch.producer, []).append(stretch)
    with log.snapshot():
        committed, gaps, quarantined = log.committed(), log.gaps(), len(log.tombstones())
        logged, duplicated, found = _count(log, gaps, gone, progress)
    expired = sum(stretch.stop_seq - stretch.first_seq for some in gone.values() for stretch in some)
    # After a repair of a log that had lost lines, a gap reaches beyond what is committed until they have come again.
    reached = Counter(committed)
    for gap in gaps:
        reached[gap.producer] = max(reached[gap.producer], gap.stop_seq)
        if gap.producer in held:
            found[gap] += held[gap.producer].beyond(max(gap.first_seq, committed.get(gap.producer, 0)), gap.stop_seq)
        for stretch in gone.get(gap.producer, ()):
            found[gap] += max(0, min(gap.stop_seq, stretch.stop_seq) - max(gap.first_seq, stretch.first_seq))
    accepted = sum((final | reached).values())
    in_flight = sum(here.beyond(committed.get(producer, 0)) for producer, here in held.items())
    elsewhere = accepted - logged - in_flight - expired
    # An event whose line is damaged may have come again, after the record of the log was rebuilt: that is no loss.
    quarantined = min(quarantined + sum(damage.lines for damage in log.damaged), max(0, elsewhere))
    return Ledger(
        accepted=accepted,
        logged=logged,
        in_flight=in_flight,
        quarantined=quarantined,
        expired=expired,
        missing=elsewhere - quarantined,
        duplicated=duplicated,
        gaps=tuple(gap for gap in dict.fromkeys(gaps) if found[gap] < gap.stop_seq - gap.first_seq),
        damaged=tuple(map(str, log.damaged)),
    )


def _count(
    log: LogReader, gaps: Iterable[Gap], gone: Mapping[str, list[Expired]], progress: Progress | None
) -> tuple[int, int, Counter[Gap]]:
    """Counts lines by whom they are from: the events of one producer stand in the order of their seqs.

    Returns:
        Different events, repeated ones, and of each gap the events that are there after all.
    """
    logged = duplicated = done = 0
    total = log.size_bytes
    gaps_of: dict[str, set[Gap]] = {}
    for gap in gaps:
        gaps_of.setdefault(gap.producer, set()).add(gap)
    found: Counter[Gap] = Counter()
    following: dict[str, int] = {}
    for size, lines in log.identities():
        for producer, seq in lines:
            if seq < following.get(producer, 0) or any(
                it.first_seq <= seq < it.stop_seq for it in gone.get(producer, ())
            ):
                duplicated += 1
            else:
                logged += 1
                following[producer] = seq + 1
                for gap in gaps_of.get(producer, ()):
                    found[gap] += gap.first_seq <= seq < gap.stop_seq
        done += size
        if progress is not None:
            progress(done, total)
    return logged, duplicated, found


def _look(root: OutboxRoot, producer: str) -> _Held:
    reader = OutboxReader(root, producer, sets_aside=False)
    try:
        return _Held(reader.oldest() or 0, reader.end())
    finally:
        reader.close()
