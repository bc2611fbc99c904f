"""Whether scores are probabilities: of those with a score of 0.7, are seven in ten positive?"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, Z, around, wilson
from driftline.quality.tally import EDGES, Labelled

GROUPS: Final = 10
"""Points of the curve: tenths of the range of scores."""


class Point(NamedTuple):
    """One point of the reliability curve.

    Attributes:
        rows: Rows with such scores.
        score: Their mean score.
        share: The share of them that were 1. Compare a diagram's points by their intervals, since many are of few rows:
            Bröcker and Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22 (2007).
    """

    rows: int
    score: float
    share: Interval


class Calibration(NamedTuple):
    """How far scores are from the shares they promise.

    Attributes:
        error: Expected calibration error: the mean distance of a score's group from what came. Naeini, Cooper and
            Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015. It is never 0, not
            even for a calibrated model: see ``by_chance``. The interval's lower bound takes that into account.
        by_chance: The error that is to be expected of a calibrated model with so many rows.
        gap: Share that came less mean score: over all, more (or less) came than was said.
        curve: From low scores to high; groups without rows are left out.
    """

    error: Interval
    by_chance: float
    gap: Interval
    curve: list[Point]


def calibration(labelled: Labelled) -> Calibration | None:
    """Returns how well calibrated these predictions were; None without rows."""
    if not labelled.rows:
        return None
    rows, hits, scores = (
        grouped(part) for part in (labelled.negatives + labelled.positives, labelled.positives, labelled.scores)
    )
    held = rows > 0
    rows, hits, scores = rows[held], hits[held], scores[held]
    weights, shares, said = rows / labelled.rows, hits / rows, scores / rows
    curve = [
        Point(int(count), float(score), share)
        for count, hit, score in zip(rows, hits, said, strict=True)
        if (share := wilson(float(hit), float(count))) is not None
    ]
    variance = labelled.brier / labelled.rows
    gap = around(float(weights @ (shares - said)), math.sqrt(variance / labelled.rows), -1.0, 1.0)
    by_chance = float(weights @ np.sqrt(said * (1 - said) / rows)) * math.sqrt(2 / math.pi)
    return Calibration(_error(weights, shares - said, shares, rows), by_chance, gap, curve)


def _error(
    weights: NDArray[np.float64],
    distances: NDArray[np.float64],
    shares: NDArray[np.float64],
    rows: NDArray[np.float64],
) -> Interval:
    """The weighted mean of distances, with an interval that knows that chance can only add to a small one.

    A distance is the absolute value of something nearly normal. Its mean, that of the folded normal law (Leone, Nelson
    and Nottingham, "The folded normal distribution", Technometrics 3, 1961), exceeds the distance itself by at most
    ``sqrt(2 / pi)`` deviations, which is what a distance of 0 shows: so much is taken off the lower bound. Shares are
    smoothed by a row of each class: 0 of 3 does not mean never.
    """
    smoothed = (shares * rows + 1) / (rows + 2)
    deviations = np.sqrt(smoothed * (1 - smoothed) / rows)
    value = float(weights @ np.abs(distances))
    excess = float(weights @ deviations) * math.sqrt(2 / math.pi)
    reach = Z * math.sqrt(float(weights**2 @ deviations**2))
    return Interval(value, max(0.0, value - excess - reach), min(1.0, value + reach))


def grouped(by_bin: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns sums over the bins of each tenth of the range of scores, shape ``(GROUPS,)``."""
    starts = np.searchsorted(EDGES, np.arange(1, GROUPS) / GROUPS - 1e-9, side="left") + 1
    return np.add.reduceat(np.asarray(by_bin, np.float64), [0, *starts])
