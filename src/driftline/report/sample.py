"""Bounded shares of rows that come one by one, however many they are."""

import random
from collections import deque
from typing import Generic, Literal, Protocol, TypeVar

T = TypeVar("T")
Chosen = Literal["first", "last", "drawn"]


class Sample(Protocol[T]):
    """Keeps some of what is appended.

    Attributes:
        chosen: Which of them.
        seen: How many were appended.
    """

    chosen: Chosen
    seen: int

    def append(self, item: T) -> None:
        """Takes the item, or not."""

    def items(self) -> list[T]:
        """Returns what is kept, in the order it came."""


class First(Generic[T]):
    """The first ``limit`` items."""

    chosen: Chosen = "first"

    def __init__(self, limit: int) -> None:
        self.seen = 0
        self._limit = limit
        self._kept: list[T] = []

    def append(self, item: T) -> None:
        """Takes the item if there is room."""
        self.seen += 1
        if len(self._kept) < self._limit:
            self._kept.append(item)

    def items(self) -> list[T]:
        """Returns what is kept, in the order it came."""
        return self._kept


class Last(Generic[T]):
    """The last ``limit`` items."""

    chosen: Chosen = "last"

    def __init__(self, limit: int) -> None:
        self.seen = 0
        self._kept: deque[T] = deque(maxlen=limit)

    def append(self, item: T) -> None:
        """Takes the item and forgets the oldest."""
        self.seen += 1
        self._kept.append(item)

    def items(self) -> list[T]:
        """Returns what is kept, in the order it came."""
        return list(self._kept)


class Drawn(Generic[T]):
    """Up to ``limit`` of all items, each with the same chance; of the same items always the same ones.

    Algorithm R of Vitter, "Random Sampling with a Reservoir" (1985).
    """

    chosen: Chosen = "drawn"

    def __init__(self, limit: int) -> None:
        self.seen = 0
        self._limit = limit
        self._kept: list[tuple[int, T]] = []
        self._random = random.Random(0)  # noqa: S311 - a sample, not a secret; seeded, so that a report can be repeated

    def append(self, item: T) -> None:
        """Takes the item, perhaps in the place of another one."""
        if self.seen < self._limit:
            self._kept.append((self.seen, item))
        elif (place := self._random.randrange(self.seen + 1)) < self._limit:
            self._kept[place] = (self.seen, item)
        self.seen += 1

    def items(self) -> list[T]:
        """Returns what is kept, in the order it came."""
        return [item for _, item in sorted(self._kept, key=lambda kept: kept[0])]
