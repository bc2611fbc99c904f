"""The broker: a stream of batches, what each log has committed, which logs there are. It keeps no promise."""

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from tests.protocol.model.process import Process

ANY_LOG = "*"
"""What a batch is addressed to where logs have no ids."""
LIVE_FOR = 60
"""A log that was not heard of for so many steps is not live."""
_SNAPSHOTS = 8


class Batch(NamedTuple):
    """Consecutive events of one producer; ``None`` is a tombstone."""

    log: str
    producer: str
    base_seq: int
    first_seq: int
    events: tuple[int | None, ...]

    @property
    def stop_seq(self) -> int:
        return self.first_seq + len(self.events)


class Entry(NamedTuple):
    """A batch in the stream.

    Attributes:
        number: Its id.
        batch: What it carries.
        sent: A relay has put it there, and no fault.
    """

    number: int
    batch: Batch
    sent: bool


class Announcement(NamedTuple):
    """What a log says of itself."""

    life: int
    predecessors: tuple[str, ...]
    at: int


@dataclass
class Memory:
    """All that a wipe destroys and a snapshot keeps.

    Attributes:
        stream: The entries, in order.
        last_number: The last id given.
        committed: For each (log, life), what it has published, by producer.
        logs: Announcements by log.
        leases: For the naive alternative to flock: who may write a log, until when.
    """

    stream: list[Entry] = field(default_factory=list)
    last_number: int = 0
    committed: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    logs: dict[str, Announcement] = field(default_factory=dict)
    leases: dict[str, tuple[Process, int]] = field(default_factory=dict)

    def copy(self) -> "Memory":
        committed = {key: dict(numbers) for key, numbers in self.committed.items()}
        return Memory(list(self.stream), self.last_number, committed, dict(self.logs), dict(self.leases))


class Broker:
    """A Redis.

    Attributes:
        memory: What it holds now.
        run: Its run id.
        away: It does not answer.
        time: Its clock, in steps; may be set back.
        delayed: Batches that the network holds back.
    """

    def __init__(self) -> None:
        self.memory = Memory()
        self.run = 1
        self.away = False
        self.time = 1000
        self.delayed: list[Batch] = []
        self._snapshots: list[Memory] = []
        self._published: list[tuple[tuple[str, int], str, int]] = []

    def add(self, batch: Batch, *, sent: bool) -> int:
        memory = self.memory
        memory.last_number = max(memory.last_number + 1, self.time)
        memory.stream.append(Entry(memory.last_number, batch, sent))
        return memory.last_number

    def read(self, position: int, count: int) -> list[Entry]:
        return [entry for entry in self.memory.stream if entry.number > position][:count]

    def delete(self, numbers: set[int]) -> None:
        self.memory.stream = [entry for entry in self.memory.stream if entry.number not in numbers]

    def publish(self, key: tuple[str, int], numbers: dict[str, int]) -> None:
        self.memory.committed.setdefault(key, {}).update(numbers)
        self._published += [(key, producer, number) for producer, number in numbers.items()]

    def live(self, announcement: Announcement) -> bool:
        return abs(self.time - announcement.at) < LIVE_FOR

    # -- what it does to those who trust it

    def wipe(self) -> None:
        self.memory = Memory()

    def snapshot(self) -> None:
        self._snapshots = [*self._snapshots[1 - _SNAPSHOTS :], self.memory.copy()]

    def roll_back(self, rng: Random) -> None:
        """Restarts with what it had saved some time ago."""
        if self._snapshots:
            self.memory = rng.choice(self._snapshots).copy()
            self.memory.stream = [entry._replace(sent=False) for entry in self.memory.stream]
        self.run += 1

    def remember_wrongly(self, rng: Random) -> None:
        """Gives an old answer for one number."""
        if self._published:
            key, producer, number = rng.choice(self._published)
            self.memory.committed.setdefault(key, {})[producer] = number
