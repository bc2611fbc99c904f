"""Which faults happen when: a pure function of the seed, the time, and what can be done on this machine."""

import math
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Ability = Literal["redis", "limits", "mounts"]
"""What a fault may need: a broker, file-size limits of other processes, file systems of our own."""


@dataclass(frozen=True)
class Recipe:
    """A kind of fault and what it hits.

    Attributes:
        kind: What is done; see docs/reliability.md.
        target: What it is done to.
        shortest_s: The least time until it is undone.
        longest_s: The most.
        needs: What the machine must allow.
    """

    kind: str
    target: str
    shortest_s: float
    longest_s: float
    needs: frozenset[Ability] = frozenset()


@dataclass(frozen=True)
class Fault:
    """One fault of a schedule.

    Attributes:
        at_s: When it begins, seconds from the first moment of the faults.
        kind: As in its :class:`Recipe`.
        target: Likewise.
        lasts_s: After so long it is undone: thawed, healed, given room, allowed to start again.
        pick: Chooses among what is only known when it happens, such as which API process; in 0..1.
    """

    at_s: float
    kind: str
    target: str
    lasts_s: float
    pick: float


_REDIS: Final = frozenset[Ability]({"redis"})
_LIMITS: Final = frozenset[Ability]({"limits"})
_MOUNTS: Final = frozenset[Ability]({"mounts"})

RECIPES: Final = (
    Recipe("kill", "api", 0.1, 4),
    Recipe("kill", "api-process", 0, 0),
    Recipe("kill", "api-process", 0, 0),
    Recipe("kill", "worker", 0.1, 8),
    Recipe("kill", "worker", 0.1, 0.5),
    Recipe("kill", "redis", 0.1, 8, _REDIS),
    Recipe("freeze", "api", 0.2, 12),
    Recipe("freeze", "api-process", 0.2, 12),
    Recipe("freeze", "worker", 0.2, 15),
    Recipe("freeze", "redis", 0.2, 15, _REDIS),
    Recipe("stutter", "api-process", 1, 6),
    Recipe("stutter", "worker", 1, 6),
    Recipe("stutter", "redis", 1, 6, _REDIS),
    Recipe("restart", "api", 0.1, 2),
    Recipe("restart", "worker", 0.1, 4),
    Recipe("restart", "redis", 0.1, 4, _REDIS),
    Recipe("wipe", "redis", 0.1, 4, _REDIS),
    Recipe("flush", "redis", 0, 0, _REDIS),
    Recipe("flush", "redis", 0, 0, _REDIS),
    Recipe("out-of-memory", "redis", 0.5, 10, _REDIS),
    Recipe("cut", "api-redis", 0.1, 8, _REDIS),
    Recipe("cut", "worker-redis", 0.1, 8, _REDIS),
    Recipe("half-open", "api-redis", 0.5, 15, _REDIS),
    Recipe("half-open", "worker-redis", 0.5, 15, _REDIS),
    Recipe("disk-full", "outbox", 0.5, 8, _MOUNTS),
    Recipe("disk-full", "log", 0.5, 8, _MOUNTS),
    Recipe("file-limit", "api-process", 0.5, 8, _LIMITS),
    Recipe("file-limit", "worker", 0.5, 8, _LIMITS),
    Recipe("lock-record", "log", 0.5, 9),
)

QUIET_S: Final = 3.0
"""Before the first fault: everything has just started."""
MEAN_GAP_S: Final = 3.0
"""Between the beginnings of two faults, on average; less than many of them last, so that they overlap."""


def possible(abilities: Collection[Ability]) -> list[Recipe]:
    """Returns the recipes that can be followed with these abilities."""
    return [recipe for recipe in RECIPES if recipe.needs <= set(abilities)]


def draw(seed: int, seconds: float, abilities: Collection[Ability]) -> list[Fault]:
    """Returns the faults in the order in which they begin; all are over when the time is.

    They are dealt like cards: no recipe is met again before all have been met, so that a short run misses few.

    Args:
        seed: The same seed gives the same schedule, on any machine with the same abilities.
        seconds: How long there are faults.
        abilities: See :data:`Ability`.
    """
    return list(_deal(random.Random(seed), seconds, possible(abilities)))  # noqa: S311 (repeatable on purpose)


def _deal(chance: random.Random, seconds: float, recipes: list[Recipe]) -> Iterator[Fault]:
    at_s = QUIET_S
    deck: list[Recipe] = []
    while True:
        if not deck:
            deck = chance.sample(recipes, len(recipes))
        recipe = deck.pop()
        lasts_s = _between(chance, recipe.shortest_s, recipe.longest_s)
        pick = chance.random()
        if at_s >= seconds:
            return
        yield Fault(round(at_s, 2), recipe.kind, recipe.target, round(min(lasts_s, seconds - at_s), 2), round(pick, 4))
        # Some follow at once: two misfortunes in one moment are what nobody thought of.
        at_s += chance.uniform(0, 0.3) if chance.random() < 0.2 else chance.uniform(0, 2 * MEAN_GAP_S / 0.8)  # noqa: PLR2004


def _between(chance: random.Random, shortest_s: float, longest_s: float) -> float:
    """Short times are as likely as long ones: evenly over the logarithm."""
    draw = chance.random()
    if shortest_s <= 0:
        return 0.0
    return math.exp(math.log(shortest_s) + draw * math.log(longest_s / shortest_s))
