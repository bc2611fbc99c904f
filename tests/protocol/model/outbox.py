"""The outbox root: a directory for each producer, the log that is obeyed, and what is left of drained directories."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple, Self

from tests.protocol.model.disks import TORN, Directory, File
from tests.protocol.model.process import Process
from tests.protocol.model.rules import Harm, Rules, Violation

SEGMENT_EVENTS = 4
_LOG_ID = "log-id"
_CLOSED = "closed"


class Record(NamedTuple):
    """A whole record: its number is in its header."""

    seq: int
    event: int


def events_in(file: File[Record]) -> Iterator[int]:
    """Yields the events that can be read in a segment."""
    return (record.event for record in file.seen if record is not TORN)


class OutboxDirectory:
    """One producer's segments, by the seq of their first event.

    Attributes:
        producer: Its id.
        segments: The files.
        owner: Who holds the lock, if alive.
    """

    def __init__(self, producer: str) -> None:
        self.producer = producer
        self.segments: Directory[int, File[Record]] = Directory()
        self.owner: Process | None = None

    @property
    def owned(self) -> bool:
        return self.owner is not None and self.owner.alive

    def firsts(self) -> list[int]:
        return sorted(self.segments.entries)

    def events(self) -> Iterator[int]:
        for file in self.segments.entries.values():
            yield from events_in(file)

    def power_cut(self, rng: Random) -> None:
        self.owner = None
        self.segments.power_cut(rng)

    def copy(self) -> Self:
        twin = type(self)(self.producer)
        twin.segments = self.segments.copy()
        return twin


class Notes:
    """A small file of the root: the log id, or the list of drained producers."""

    def __init__(self) -> None:
        self.file: File[tuple[str, int]] = File()

    @classmethod
    def durable(cls, *content: tuple[str, int]) -> Self:
        notes = cls()
        notes.file = File(content)
        return notes

    def power_cut(self, rng: Random) -> None:
        self.file.power_cut(rng)

    def copy(self) -> Self:
        twin = type(self)()
        twin.file = self.file.copy()
        return twin


class OutboxRoot:
    """All outboxes of one machine."""

    def __init__(self) -> None:
        self.names: Directory[str, OutboxDirectory | Notes] = Directory()
        self.names.put(_CLOSED, Notes())
        self.names.sync()

    def copy(self) -> "OutboxRoot":
        twin = OutboxRoot()
        twin.names = self.names.copy()
        return twin

    def directory(self, name: str) -> OutboxDirectory | None:
        found = self.names.entries.get(name)
        return found if isinstance(found, OutboxDirectory) else None

    def directories(self) -> dict[str, OutboxDirectory]:
        return {name: found for name, found in self.names.entries.items() if isinstance(found, OutboxDirectory)}

    def events(self) -> set[int]:
        return {event for directory in self.directories().values() for event in directory.events()}

    # -- the log that is obeyed

    def log_id(self) -> str | None:
        found = self.names.entries.get(_LOG_ID)
        return found.file.seen[0][0] if isinstance(found, Notes) and found.file.seen[0] is not TORN else None

    def link_log_id(self, log: str) -> None:
        """link(2) of a file that is durable: does nothing if there is one."""
        if _LOG_ID not in self.names.entries:
            self.names.put(_LOG_ID, Notes.durable((log, 0)))

    def replace_log_id(self, log: str) -> None:
        """rename(2) of a file that is durable."""
        self.names.put(_LOG_ID, Notes.durable((log, 0)))

    # -- what the ledger needs of directories that are gone

    def closed_file(self) -> File[tuple[str, int]]:
        found = self.names.entries[_CLOSED]
        if not isinstance(found, Notes):
            raise TypeError
        return found.file

    def closed(self) -> dict[str, int]:
        """How many events each removed producer had."""
        final: dict[str, int] = {}
        for line in self.closed_file().seen:
            if line is not TORN:
                final[line[0]] = max(line[1], final.get(line[0], 0))
        return final


class Held(NamedTuple):
    """What a directory holds: the oldest seq, and from there on the events; ``None`` is a tombstone."""

    base: int
    events: list[int | None]

    @property
    def end(self) -> int:
        return self.base + len(self.events)


def scan(directory: OutboxDirectory, rules: Rules) -> Held:
    """Reads a directory; what lies at its very end and is not whole is unfinished, and no event yet."""
    firsts = directory.firsts()
    if not firsts:
        return Held(0, [])
    events: list[int | None] = []
    for first in firsts:
        events += [None] * (first - firsts[0] - len(events))
        file, last = directory.segments.entries[first], first == firsts[-1]
        torn = 0
        for record in file.seen:
            if record is TORN:
                if last and not rules.scan_behind_damage:
                    return Held(firsts[0], events)
                torn += 1
                continue
            if torn and not file.hurt:
                raise Violation(Harm.FALSE_ALARM, f"{directory.producer}/{record.seq} lies behind it")
            missing = record.seq - firsts[0] - len(events)
            if missing >= 0:
                events += [None] * missing
                events.append(record.event)
            torn = 0
        if torn and last and not rules.unfinished_tail and directory.owned:
            events.append(None)
    return Held(firsts[0], events)
