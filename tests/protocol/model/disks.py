"""Files, directories and SQLite, with what a power cut leaves of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final, Generic, Protocol, Self, TypeVar

from tests.protocol.model.process import Process


class Torn(Enum):
    """Stands for bytes that cannot be read as a record or a line."""

    TORN = "torn"


TORN: Final = Torn.TORN

R = TypeVar("R")
K = TypeVar("K", int, str)


class File(Generic[R]):
    """A file of records.

    Attributes:
        seen: What processes read.
        durable: What a power cut leaves for certain; a prefix of what it leaves.
        hurt: Bytes that were whole may have become torn, by damage or a power cut.
    """

    def __init__(self, content: Iterable[R | Torn] = (), *, hurt: bool = False) -> None:
        self.seen: list[R | Torn] = list(content)
        self.durable: list[R | Torn] = list(self.seen)
        self.hurt = hurt
        self._before_cut: list[R | Torn] | None = None

    def begin_write(self) -> None:
        """A write(2) is under way: its bytes are not whole yet."""
        self.seen.append(TORN)

    def end_write(self, record: R) -> None:
        """It has returned."""
        del self.durable[len(self.seen) - 1 :]
        self.seen[-1] = record

    def write(self, record: R) -> None:
        self.begin_write()
        self.end_write(record)

    def sync(self) -> None:
        self.durable += self.seen[len(self.durable) :]
        self._before_cut = None

    def fail_sync(self) -> None:
        """The kernel drops the bytes it could not write and calls the pages clean: later syncs change nothing."""
        self.durable += [TORN] * (len(self.seen) - len(self.durable))
        self.hurt = True

    def cut(self, length: int) -> None:
        """Truncates; until the next sync a power cut may undo it."""
        if length < len(self.durable):
            self._before_cut = list(self.durable)
            del self.durable[length:]
        del self.seen[length:]

    def damage(self, index: int) -> None:
        self.seen[index] = self.durable[index] = TORN
        self.hurt = True

    def power_cut(self, rng: Random) -> None:
        if self._before_cut is not None and rng.random() < 0.5:
            self.seen = self._before_cut
        else:
            kept = rng.randint(len(self.durable), max(len(self.durable), len(self.seen)))
            tail = self.seen[len(self.durable) : kept]
            self.seen = self.durable + [TORN if rng.random() < 0.2 else record for record in tail]
        self.durable, self._before_cut, self.hurt = list(self.seen), None, True

    def copy(self) -> Self:
        return type(self)(self.seen, hurt=self.hurt)


class Entry(Protocol):
    """What a directory can hold."""

    def power_cut(self, rng: Random) -> None: ...

    def copy(self) -> Self: ...


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True)
class _Change(Generic[K, E]):
    """A creation, a removal, or both at once, which is a renaming."""

    entry: E
    gone: K | None = None
    put: K | None = None

    def apply(self, entries: dict[K, E]) -> None:
        if self.gone is not None and entries.get(self.gone) is self.entry:
            del entries[self.gone]
        if self.put is not None:
            entries[self.put] = self.entry


class Directory(Generic[K, E]):
    """Names; a change is durable after :meth:`sync`, and before it may have reached the disk or not."""

    def __init__(self) -> None:
        self.entries: dict[K, E] = {}
        self._durable: dict[K, E] = {}
        self._pending: list[_Change[K, E]] = []

    def put(self, name: K, entry: E) -> None:
        """Creates, or replaces as rename(2) does."""
        self._change(_Change(entry, put=name))

    def remove(self, name: K) -> None:
        if name in self.entries:
            self._change(_Change(self.entries[name], gone=name))

    def rename(self, old: K, new: K) -> None:
        self._change(_Change(self.entries[old], gone=old, put=new))

    def sync(self) -> None:
        self._durable, self._pending = dict(self.entries), []

    def power_cut(self, rng: Random) -> None:
        reached = rng.randint(0, len(self._pending))
        in_order = rng.random() < 0.7
        for number, change in enumerate(self._pending):
            if number < reached if in_order else rng.random() < 0.5:
                change.apply(self._durable)
        self.entries, self._pending = dict(self._durable), []
        for entry in self.entries.values():
            entry.power_cut(rng)

    def copy(self) -> Self:
        twin = type(self)()
        twin.entries = {name: entry.copy() for name, entry in self.entries.items()}
        twin.sync()
        return twin

    def _change(self, change: _Change[K, E]) -> None:
        change.apply(self.entries)
        self._pending.append(change)


S = TypeVar("S")


class Database(Generic[S]):
    """SQLite: a commit is atomic, and durable at once (``synchronous = FULL``) or some time later (``NORMAL``).

    A commit that was interrupted may lie whole in the write-ahead log, and not be synced. It is not seen as long as
    anybody has the file open, and comes to life when somebody opens it after that, unless a later commit was written
    over it.
    """

    def __init__(self, state: S, *, full: bool) -> None:
        self._full = full
        self._states = [state]
        self._unseen: S | None = None
        self._openers: list[Process] = []

    @property
    def state(self) -> S:
        """What has been committed; never changed in place."""
        return self._states[-1]

    def begin_commit(self, state: S) -> None:
        self._unseen = state

    def commit(self, state: S, rng: Random) -> None:
        self._unseen = None
        self._states.append(state)
        if self._full or rng.random() < 0.2:
            self.sync()

    def open(self, process: Process, rng: Random) -> S:
        """Returns what a process sees that opens the file, anew if it has it open."""
        others = [opener for opener in self._openers if opener.alive and opener is not process]
        if self._unseen is not None and not others and rng.random() < 0.7:  # or else a report has it open
            self._states.append(self._unseen)
            self._unseen = None
        self._openers = [*others, process]
        return self.state

    def sync(self) -> None:
        self._states = self._states[-1:]

    def power_cut(self, rng: Random) -> None:
        if self._unseen is not None:
            self._states.append(self._unseen)
        self._states, self._unseen = [rng.choice(self._states)], None
