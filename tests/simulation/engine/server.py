"""A Redis that keeps no promise: it may lose, repeat, reorder, hold back, forget, and go back in time."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from redis.exceptions import ResponseError

Id = tuple[int, int]
Fields = dict[bytes, bytes]

_BEGINNING_MS = 1_700_000_000_000


@dataclass
class Memory:
    """What it holds; all of it may be gone the next moment.

    Attributes:
        entries: The stream, by id.
        last_id: The highest id it has given.
        hashes: The other keys.
    """

    entries: list[tuple[Id, Fields]] = field(default_factory=list)
    last_id: Id = (0, 0)
    hashes: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)


class Server:
    """One Redis.

    Args:
        rng: Draws its run ids.
        clock: Tells the virtual time, in seconds.

    Attributes:
        memory: What it holds.
        away: Nobody reaches it.
        deepest: The most entries that it has held.
    """

    def __init__(self, rng: Random, clock: Callable[[], float]) -> None:
        self.memory = Memory()
        self.away = False
        self.deepest = 0
        self.run_id = ""
        self._rng = rng
        self._clock = clock
        self._clock_offset_ms = _BEGINNING_MS
        self._saved = Memory()
        self._delayed: list[Fields] = []
        self.restart(Memory())

    # -- commands

    def now_ms(self) -> int:
        """Returns its clock."""
        return int(self._clock() * 1000) + self._clock_offset_ms

    def xadd(self, fields: Fields) -> Id:
        """Adds an entry and returns its id: never lower than the last one."""
        memory = self.memory
        now = (self.now_ms(), 0)
        last = memory.last_id
        memory.last_id = now if now > last else (last[0], last[1] + 1)
        memory.entries.append((memory.last_id, fields))
        self.deepest = max(self.deepest, len(memory.entries))
        return memory.last_id

    def xdel(self, ids: set[Id]) -> int:
        """Deletes entries and returns how many."""
        before = len(self.memory.entries)
        self.memory.entries = [entry for entry in self.memory.entries if entry[0] not in ids]
        return before - len(self.memory.entries)

    def behind(self, start: Id, count: int, *, including: bool = False) -> list[tuple[Id, Fields]]:
        """Returns the entries behind an id, the first of them."""
        found = [entry for entry in self.memory.entries if entry[0] > start or (including and entry[0] == start)]
        return found[:count]

    def last_generated(self) -> Id:
        """Returns the highest id it has given.

        Raises:
            ResponseError: There is no stream.
        """
        if self.memory.last_id == (0, 0):
            raise ResponseError("no such key")
        return self.memory.last_id

    def hash(self, key: bytes) -> dict[bytes, bytes]:
        """Returns a hash, to be read or changed."""
        return self.memory.hashes.setdefault(key, {})

    # -- what it does to those who trust it

    def lose(self, rng: Random) -> None:
        """An entry is gone."""
        self._pull(rng)

    def duplicate(self, rng: Random) -> None:
        """An entry comes again."""
        if self.memory.entries:
            self.xadd(rng.choice(self.memory.entries)[1])

    def reorder(self, rng: Random) -> None:
        """The entries come in another order."""
        contents = [fields for _, fields in self.memory.entries]
        rng.shuffle(contents)
        self.memory.entries = [(entry[0], fields) for entry, fields in zip(self.memory.entries, contents, strict=True)]

    def delay(self, rng: Random) -> None:
        """An entry is held back."""
        fields = self._pull(rng)
        if fields is not None:
            self._delayed.append(fields)

    def deliver(self, rng: Random) -> None:
        """What was held back comes, long after what was sent later."""
        if self._delayed:
            self.xadd(self._delayed.pop(rng.randrange(len(self._delayed))))

    def trim(self, rng: Random) -> None:
        """The oldest entries are gone."""
        self.memory.entries = self.memory.entries[rng.randint(0, len(self.memory.entries)) :]

    def forget(self, rng: Random) -> None:
        """A hash is gone, such as the acknowledgements."""
        if self.memory.hashes:
            del self.memory.hashes[rng.choice(list(self.memory.hashes))]

    def flush(self, rng: Random) -> None:
        """FLUSHALL: it goes on under its run id, and its clock may have been set back."""
        self.memory = Memory()
        self._set_clock_back(rng)

    def save(self, rng: Random) -> None:
        """A copy is kept, to which it will go back."""
        self._saved = copy.deepcopy(self.memory)

    def roll_back(self, rng: Random) -> None:
        """It restarts from an old copy, or a replica that lagged behind takes over."""
        self.restart(copy.deepcopy(self._saved))
        self._set_clock_back(rng)

    def restart(self, memory: Memory) -> None:
        """It comes back under another run id, with this."""
        self.memory = memory
        self.run_id = f"{self._rng.getrandbits(160):040x}"

    def _set_clock_back(self, rng: Random) -> None:
        if rng.random() < 0.5:
            self._clock_offset_ms -= rng.randint(1, 20_000)

    def _pull(self, rng: Random) -> Fields | None:
        entries = self.memory.entries
        return entries.pop(rng.randrange(len(entries)))[1] if entries else None
