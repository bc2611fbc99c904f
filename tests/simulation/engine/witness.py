"""What an all-knowing observer writes down, and the verdict at the end."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec

from driftline.errors import LogError
from driftline.eventlog.reader import LogReader
from driftline.outbox.record import decode, find_next
from driftline.outbox.segments import segment_firsts, segment_name
from driftline.transport.ledger import take_ledger
from tests.simulation.engine.real import REAL


class Harm(Enum):
    """How the promise can be broken."""

    LOST = "an answered event is not in the log"
    DOUBLED = "an event is in the log twice"
    CHANGED = "a line of the log is not what was answered"
    DELETED = "an answered event was deleted that is not committed"
    SKIPPED = "the log went on without an answered event, or the ledger does not balance"
    STUCK = "the faults are over, and it does not drain"
    FAILED = "a process ended, or went on, with an error that it should not have met"


class Violation(Exception):  # noqa: N818 - it is what is looked for
    """The promise is broken."""

    def __init__(self, harm: Harm, what: str) -> None:
        super().__init__(harm, what)  # as they were given: it travels between processes
        self.harm = harm
        self.what = what

    def __str__(self) -> str:
        return f"{self.harm.name}, {self.harm.value}: {self.what}"


class _Line(msgspec.Struct):
    request_id: str
    probability: float
    producer: str
    seq: int


class Event(NamedTuple):
    """Who an event is: its producer and its seq there."""

    producer: str
    seq: int


class Answer(NamedTuple):
    """A request that was answered with 200."""

    event: Event
    request_id: str
    probability: float


@dataclass
class Witness:
    """Notes that no process can read.

    Attributes:
        log_dir: The log.
        outbox_dir: The outboxes.
        answered: The answers given.
        restored_away: Events that were in the log before it was restored, and were deleted: the ledger must tell.
        counts: How often what happened.
    """

    log_dir: Path
    outbox_dir: Path
    answered: dict[Event, Answer] = field(default_factory=dict)
    restored_away: set[Event] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    _once: dict[str, int] = field(default_factory=dict)
    _committed: dict[str, int] | None = None

    def answer(self, event: Event, request_id: str, probability: float) -> None:
        """Notes a 200.

        Raises:
            Violation: There was one for this event.
        """
        if event in self.answered:
            raise Violation(Harm.DOUBLED, f"{event} was given twice")
        self.answered[event] = Answer(event, request_id, probability)

    def committed(self) -> dict[str, int]:
        """Returns what the log has, by producer."""
        if self._committed is None:
            self._committed = self._read_committed()
        return self._committed

    def recorded(self) -> None:
        """Is told that the log's record may have changed."""
        self._committed = None

    def _read_committed(self) -> dict[str, int]:
        path = self.log_dir / "log.sqlite"
        if not path.exists():
            return {}
        connection: sqlite3.Connection = REAL.connect(path)
        try:
            return dict(connection.execute("SELECT producer, committed FROM producers").fetchall())
        except sqlite3.OperationalError:  # it is being made
            return {}
        finally:
            connection.close()

    def check_deletion(self, path: Path) -> None:
        """Looks at a file that is about to be deleted.

        Raises:
            Violation: It is a segment with an answered event that is not committed, and never was.
        """
        if path.suffix != ".seg" or path.parent.parent != self.outbox_dir:
            return
        producer = path.parent.name
        committed, once = self.committed().get(producer, 0), self._once.get(producer, 0)
        for seq in _seqs(path.read_bytes()):
            if seq < committed or Event(producer, seq) not in self.answered:
                continue
            if seq >= once:
                raise Violation(Harm.DELETED, f"{producer}/{path.name} has {seq}, and {committed} are committed")
            self.restored_away.add(Event(producer, seq))

    def restore(self, before: dict[str, int], after: dict[str, int]) -> None:
        """Notes what a restore of the log takes away for good: what no outbox holds any more."""
        for producer, stop in before.items():
            self._once[producer] = max(stop, self._once.get(producer, 0))
            directory = self.outbox_dir / producer
            held = {
                seq
                for first in segment_firsts(directory)
                for seq in _seqs((directory / segment_name(first)).read_bytes())
            }
            taken = range(after.get(producer, 0), stop)
            self.restored_away.update(Event(producer, seq) for seq in taken if seq not in held)

    def drained(self, living: dict[str, int]) -> bool:
        """Whether nothing is left that has to come to the log.

        Args:
            living: The outboxes in use, and how many events they have had.
        """
        here = [name for name in REAL.listdir(self.outbox_dir) if len(name) == 32]
        if any(name not in living for name in here):
            return False
        committed = self.committed()
        last = {event.producer: event.seq for event in self.answered if event not in self.restored_away}
        wanted = [*living.items(), *((producer, seq + 1) for producer, seq in last.items())]
        return all(committed.get(producer, 0) >= stop for producer, stop in wanted)

    def judge(self) -> None:
        """Looks at the log itself, when all is quiet.

        Raises:
            Violation: The promise is broken.
        """
        try:
            with LogReader(self.log_dir) as log:
                lines = [_DECODER.decode(line) for line in log.lines()]
                gaps = {Event(gap.producer, seq) for gap in log.gaps() for seq in range(gap.first_seq, gap.stop_seq)}
                damaged = {Event(*tombstone) for tombstone in log.tombstones()}
            ledger = take_ledger(self.outbox_dir, self.log_dir)
        except (LogError, msgspec.DecodeError) as error:
            raise Violation(Harm.FAILED, str(error)) from error
        if ledger.damaged:
            raise Violation(Harm.CHANGED, f"blocks {ledger.damaged}")
        logged = {Event(line.producer, line.seq): line for line in lines}
        if len(logged) < len(lines) or len({line.request_id for line in lines}) < len(lines):
            raise Violation(Harm.DOUBLED, f"{len(lines)} lines, {len(logged)} events")
        for answer in self.answered.values():
            line = logged.get(answer.event)
            if line is None and answer.event not in self.restored_away:
                raise Violation(Harm.LOST, f"{answer.event}")
            if line is not None and (line.request_id, line.probability) != answer[1:]:
                raise Violation(Harm.CHANGED, f"{answer.event}")
        if not gaps <= self.restored_away:
            raise Violation(Harm.SKIPPED, f"{min(gaps - self.restored_away)} is counted as gone")
        gone = self.restored_away - logged.keys() - damaged
        if not len(gone & self.answered.keys()) <= ledger.missing <= len(gone):
            raise Violation(Harm.SKIPPED, f"the ledger misses {ledger.missing}, and the restore took {len(gone)}")
        if ledger.in_flight:
            raise Violation(Harm.STUCK, f"{ledger.in_flight} are in flight")


def _seqs(segment: bytes) -> Iterator[int]:
    """Yields the seqs of the whole records in a segment."""
    position = find_next(segment, 0)
    while position is not None and (record := decode(segment, position)) is not None:
        yield record.seq
        position = find_next(segment, record.end)


_DECODER = msgspec.json.Decoder(_Line)
