"""What the users send: the two features of the seed's model, drawn evenly, and a shift that sets in after a while; and
what becomes of it.

Nothing here knows Locust, so that the numbers can be tested without it.
"""

import math
import random
from dataclasses import dataclass

# The seed's model, written out again on purpose: an answer is checked against the formula, not against the code
# that made it.
BIAS = -0.3
WEIGHTS = {"feature_1": 0.8, "feature_2": -0.4}
THRESHOLD = 0.5

LOWEST, HIGHEST = -5.0, 5.0
SHIFTED = "feature_1"


def probability_of(features: dict[str, float]) -> float:
    """The probability that the seed's model gives to one row of features, in 0..1."""
    return 1.0 / (1.0 + math.exp(-BIAS - sum(weight * features[name] for name, weight in WEIGHTS.items())))


@dataclass(slots=True)
class Shift:
    """A change of the world: from one request on, ``feature_1`` is higher than before.

    Attributes:
        by: How much higher, in the feature's own unit.
        after: How many requests of the run, all users together, are still as before.
        requests: How many there have been.
    """

    by: float
    after: int
    requests: int = 0

    def next(self) -> float:
        """What to add to ``feature_1`` of the next request: 0 or ``by``."""
        self.requests += 1
        return self.by if self.requests > self.after else 0.0


class Inputs:
    """The features of one user's requests, one row after the other.

    Args:
        seed: Seed of the whole run; an empty one makes every run another one.
        user: The user's number in the run, from 0. Equal seed and number give equal rows.
        shift: Shared by all drifting users of the run; ``None`` for users that do not drift.
    """

    def __init__(self, seed: str, user: int, shift: Shift | None = None) -> None:
        self._random = random.Random(f"{seed}/{user}" if seed else None)
        self._fate = random.Random(f"{seed}/{user}/fate" if seed else None)
        self._shift = shift
        self._probability = 0.0

    def next(self) -> dict[str, float]:
        """The next row: every feature uniform in -5..5, ``feature_1`` shifted once the shift has set in."""
        features = {name: self._random.uniform(LOWEST, HIGHEST) for name in WEIGHTS}
        self._probability = probability_of(features)
        if self._shift is not None:
            features[SHIFTED] += self._shift.next()
        return features

    def outcome(self, share: float) -> int | None:
        """What became of the last row, for a share of rows; ``None`` if nobody gets to know.

        It is 1 with the probability of the row as it was before any shift. So the model is right about steady users,
        and not about drifting ones: it is as if ``feature_1`` were measured wrongly.
        """
        if self._fate.random() >= share:
            return None
        return int(self._fate.random() < self._probability)
