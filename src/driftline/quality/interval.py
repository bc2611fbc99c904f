"""Numbers with how sure they are."""

import math
from statistics import NormalDist
from typing import Final, NamedTuple

CONFIDENCE: Final = 0.95
"""Of every interval: so many of a hundred hold the true value."""

Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Interval(NamedTuple):
    """An estimate and the bounds between which the truth probably lies.

    Attributes:
        value: The estimate.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float | int) and self.low <= value <= self.high


def wilson(hits: float, trials: float) -> Interval | None:
    """Returns a share with its score interval; None without trials.

    It is never empty, not even with 0 or all hits. E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference", JASA 22 (1927); recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001).
    """
    if trials <= 0:
        return None
    share = hits / trials
    spread = Z * math.sqrt(max(0.0, share * (1 - share)) / trials + Z**2 / (4 * trials**2))
    centre, scale = share + Z**2 / (2 * trials), 1 + Z**2 / trials
    # Rounding may leave the share a hair outside.
    return Interval(
        share, max(0.0, min(share, (centre - spread) / scale)), min(1.0, max(share, (centre + spread) / scale))
    )


def mean(total: float, total_squares: float, count: float) -> Interval | None:
    """Returns the mean of values with the interval of the central limit theorem; None for fewer than two.

    Args:
        total: Sum of the values.
        total_squares: Sum of their squares.
        count: How many there are.
    """
    if count <= 1:
        return None
    value = total / count
    variance = max(0.0, total_squares / count - value**2) * count / (count - 1)
    return around(value, math.sqrt(variance / count))


def around(value: float, deviation: float, lowest: float = -math.inf, highest: float = math.inf) -> Interval:
    """Returns a value with the interval of a normal law of this standard deviation, cut at what is possible."""
    return Interval(value, max(lowest, value - Z * deviation), min(highest, value + Z * deviation))


def within_unit(value: float, deviation: float, trials: float) -> Interval:
    """Returns a share of (0, 1) with the interval of a normal law of its logit, which stays in there.

    Args:
        value: The share.
        deviation: Its standard deviation.
        trials: Where that is 0, or the share 0 or 1, the interval is that of a share of so many trials.
    """
    if not 0 < value < 1 or deviation <= 0:
        return wilson(value * trials, trials) or Interval(value, 0.0, 1.0)
    logit = math.log(value / (1 - value))
    reach = Z * deviation / (value * (1 - value))
    return Interval(value, _expit(logit - reach), _expit(logit + reach))


def _expit(logit: float) -> float:
    return 0.5 * (1 + math.tanh(logit / 2))
