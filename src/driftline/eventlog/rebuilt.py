"""What a record that is being rebuilt will say, and what can be believed of what was there before."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from driftline.contract.checksum import claims_checksum, vouched
from driftline.errors import LogDamagedError, LogNotFoundError
from driftline.eventlog.form_record import Compacted
from driftline.eventlog.identity import LineId, identity_of
from driftline.eventlog.loss import Loss
from driftline.eventlog.record import Contents, Expired, Gap, ParquetFile, Tombstone
from driftline.eventlog.store import LogStore


def event_of(line: bytes) -> LineId | None:
    """Returns who a line, without its newline, is from, if it can be believed; else None.

    It vouches for itself, or is from before lines did.
    """
    event = identity_of(line)
    return event if event is not None and (vouched(line) or not claims_checksum(line)) else None


@dataclass
class Rebuilt:
    """What a rebuilt record says.

    Attributes:
        log_id: The id of the log, a new one.
        predecessors: The logs that it replaces: what it was before is one.
        lines: Good lines.
        damaged_lines: Lines that do not vouch for themselves; they are set aside.
        cut_bytes: Bytes at the very end that are no whole line; they are set aside, and the worker cuts them.
        committed: The next seq to expect, by producer.
        lost: What the segments lack of what the record says, if that could be believed.
        gaps: Events that no line is there for, though the log had them, or later ones.
    """

    log_id: str = ""
    predecessors: tuple[str, ...] = ()
    lines: int = 0
    damaged_lines: int = 0
    cut_bytes: int = 0
    committed: dict[str, int] = field(default_factory=dict)
    lost: list[Loss] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def count(self, event: LineId) -> None:
        """Takes a line into account, in the order of the log."""
        expected = self.committed.get(event.producer, 0)
        if event.seq > expected:
            self.gaps.append(Gap(event.producer, expected, event.seq))
        self.committed[event.producer] = max(expected, event.seq + 1)

    def reach(self, expired: Iterable[Expired]) -> None:
        """Takes into account what has expired: it was in the log, and must not be taken again."""
        for producer, _, stop_seq in expired:
            expected = self.committed.get(producer, 0)
            if stop_seq > expected:
                self.gaps.append(Gap(producer, expected, stop_seq))
                self.committed[producer] = stop_seq


@dataclass
class Earlier:
    """What can be believed of what a log had: by its record, and by one that an interrupted run has rebuilt."""

    reached: dict[str, int] = field(default_factory=dict)
    tombstones: set[Tombstone] = field(default_factory=set)
    expired: set[Expired] = field(default_factory=set)
    compacted: dict[int, Compacted] = field(default_factory=dict)
    files: dict[tuple[int, str], ParquetFile] = field(default_factory=dict)

    def believe(self, path: Path) -> Contents | None:
        """Adds what a record says, and returns what it has; None if it is not there, or not sound."""
        try:
            store = LogStore(path)
        except (LogDamagedError, LogNotFoundError):
            return None
        try:
            ends = [*store.committed().items(), *((gap.producer, gap.stop_seq) for gap in store.gaps())]
            for producer, stop in ends:
                self.reached[producer] = max(stop, self.reached.get(producer, 0))
            self.tombstones |= {*store.tombstones()}
            self.expired |= {*store.expired()}
            self.compacted |= store.compacted()
            self.files |= {file[:2]: file for file in store.parquet_files()}
            return store.contents()
        finally:
            store.close()

    def gaps(self, producer: str, first_seq: int, stop_seq: int) -> Iterator[Gap]:
        """Yields what is missing of a stretch for which there is no line.

        What came damaged is known to have been, and what has expired.
        """
        known = [(seq, seq + 1) for name, seq in self.tombstones if name == producer]
        known += [(first, stop) for name, first, stop in self.expired if name == producer]
        for first, stop in sorted(known):
            if stop <= first_seq or first >= stop_seq:
                continue
            if first_seq < first:
                yield Gap(producer, first_seq, first)
            first_seq = max(first_seq, stop)
        if first_seq < stop_seq:
            yield Gap(producer, first_seq, stop_seq)

    def rows_before(self, segment: int) -> int:
        """Returns how many rows are known to stand before a segment."""
        if segment in self.compacted:
            return self.compacted[segment].first_row
        return max((it.first_row + it.lines for it in self.compacted.values() if it.segment < segment), default=0)
