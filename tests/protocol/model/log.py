"""A log: segments of lines, and one database that says how far they are committed."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tests.protocol.model.disks import TORN, Database, Directory, File, Torn
from tests.protocol.model.process import Process
from tests.protocol.model.rules import Harm, Rules, Violation

SEGMENT_LINES = 6
ACTIVE = -1
"""Name of the active segment where segments are renamed when they are full."""


class Line(NamedTuple):
    """One event in the log."""

    producer: str
    seq: int
    event: int


@dataclass
class LogState:
    """What one transaction records together.

    Attributes:
        segment: The active one.
        length: Lines committed to it.
        sealed: The lengths of those before.
        committed: The next seq to expect, by producer.
        gaps: (producer, first seq, stop seq) of what no outbox held any more.
        tombstones: (producer, seq) of what came damaged.
    """

    segment: int = 0
    length: int = 0
    sealed: dict[int, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    gaps: list[tuple[str, int, int]] = field(default_factory=list)
    tombstones: list[tuple[str, int]] = field(default_factory=list)

    def copy(self) -> "LogState":
        return LogState(
            self.segment,
            self.length,
            dict(self.sealed),
            dict(self.committed),
            list(self.gaps),
            list(self.tombstones),
        )


class Log:
    """One log directory.

    Attributes:
        name: Its id.
        predecessors: The logs that it replaces.
        segments: The files, by number.
        database: The record of what is committed.
        holder: Who has the lock, if alive.
        ever: Every event that was ever committed here, for the judge.
        maimed: A fault has cut committed lines off a file.
        refused: A worker found that, and left everything as it is.
    """

    def __init__(self, name: str, rules: Rules, predecessors: tuple[str, ...] = ()) -> None:
        self.name = name
        self.predecessors = predecessors
        self.database = Database(LogState(), full=rules.full_commit)
        self.segments: Directory[int, File[Line]] = Directory()
        self.segments.put(0 if rules.rotation == "born" else ACTIVE, File())
        self.segments.sync()
        self.holder: Process | None = None
        self.ever: set[int] = set()
        self.maimed = self.refused = False

    def file_of(self, number: int) -> File[Line] | None:
        files = self.segments.entries
        return files.get(number) or (files.get(ACTIVE) if number == self.database.state.segment else None)

    def lines(self) -> list[Line | Torn]:
        """Returns all committed lines.

        Raises:
            Violation: A file has fewer than were committed to it.
        """
        state, lines = self.database.state, list[Line | Torn]()
        for number in range(state.segment + 1):
            length = state.length if number == state.segment else state.sealed[number]
            file = self.file_of(number)
            held = [] if file is None else file.seen[:length]
            if len(held) < length:
                raise Violation(Harm.SHORT, f"log {self.name}, segment {number}: {len(held)} lines of {length}")
            lines += held
        return lines

    def events(self) -> set[int]:
        """Returns the events that are committed, as far as they can be read."""
        try:
            return {line.event for line in self.lines() if line is not TORN}
        except Violation:
            return set()
