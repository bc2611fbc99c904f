"""How good predictions seem to be while nobody knows their outcomes: what calibrated scores say of themselves.

If of those with a score of 0.7 seven in ten are positive, then a score of 0.7 that was called positive is right with
probability 0.7, and quality is a sum over scores. This is CBPE, "confidence-based performance estimation", as NannyML
publishes it (docs.nannyml.com, "How it works: performance estimation"), without its calibrator: it holds as far as
scores are calibrated, for which see :mod:`driftline.quality.calibration`, and says nothing of a change in what leads to
an outcome.

Intervals are for what the outcomes of these very predictions will give, once all are known: the scores are fixed, and
each outcome comes with the probability of its score.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, around
from driftline.quality.ranking import Ranking, places
from driftline.quality.tally import Scored


class Estimate(NamedTuple):
    """What quality is to be expected; None where it would be of nothing.

    Attributes:
        rows: Predictions.
        positives: Share of outcomes that will be 1.
        accuracy: Share of predicted classes that will come.
        precision: Of those predicted to be 1 the share that will be.
        recall: Of those that will be 1 the share that are predicted to be.
        ranking: The AUC; that of the scores themselves is higher by at most ``blurred``.
        brier: Mean.
    """

    rows: int
    positives: Interval | None
    accuracy: Interval | None
    precision: Interval | None
    recall: Interval | None
    ranking: Ranking | None
    brier: Interval | None


def estimate(scored: Scored) -> Estimate:
    """Returns the quality that calibrated scores promise."""
    rows = scored.rows
    if not rows:
        return Estimate(0, None, None, None, None, None, None)
    negative, positive = scored.class_scores.tolist()  # expected outcomes of 1, by predicted class
    spread_negative, spread_positive = (scored.class_scores - scored.class_squares).tolist()  # sum of p (1 - p)
    spread = spread_negative + spread_positive
    said_negative, said_positive = scored.class_rows.tolist()
    right = said_negative - negative + positive
    return Estimate(
        rows,
        _share(negative + positive, spread, rows),
        _share(right, spread, rows),
        _share(positive, spread_positive, said_positive),
        _recall(positive, negative, spread_positive, spread_negative),
        _ranking(scored),
        around(spread / rows, math.sqrt(_brier_variance(scored)) / rows, 0.0, 1.0),
    )


def _share(expected: float, variance: float, rows: float) -> Interval | None:
    """A sum of independent outcomes over a fixed number of rows: the Poisson binomial law, taken for normal."""
    if rows <= 0:
        return None
    return around(expected / rows, math.sqrt(max(0.0, variance)) / rows, 0.0, 1.0)


def _recall(hits: float, misses: float, hit_variance: float, miss_variance: float) -> Interval | None:
    """A ratio of two sums of which one is part of the other: the delta method."""
    total = hits + misses
    if total <= 0:
        return None
    variance = (misses**2 * hit_variance + hits**2 * miss_variance) / total**4
    return around(hits / total, math.sqrt(max(0.0, variance)), 0.0, 1.0)


def _ranking(scored: Scored) -> Ranking | None:
    """The AUC of expected counts, which is that of the expected ROC curve; its variance is of the first order.

    An outcome that turns out 1 instead of 0 moves the AUC by its place among the negatives less its place among the
    positives, each as it differs from the mean; see Hájek's projection, van der Vaart, "Asymptotic Statistics" (1998),
    chapters 11 and 12.
    """
    positives = scored.scores
    negatives = scored.counts - positives
    found = places(negatives, positives)
    if found is None:
        return None
    influence = (found.of_positive - found.auc) / positives.sum() - (found.of_negative - found.auc) / negatives.sum()
    variance = float(influence**2 @ _spreads(positives, scored.counts))
    return Ranking(around(found.auc, math.sqrt(variance), 0.0, 1.0), found.blurred)


def _brier_variance(scored: Scored) -> float:
    """Variance of the sum of ``(p - outcome) ** 2``, where that is ``p ** 2`` or ``(1 - p) ** 2``."""
    means = _means(scored.scores, scored.counts)
    return float((1 - 2 * means) ** 2 @ _spreads(scored.scores, scored.counts))


def _spreads(scores: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of ``p (1 - p)`` in each bin, as if all scores of a bin were its mean: too much by a hair."""
    means = _means(scores, counts)
    return np.asarray(counts * means * (1 - means))


def _means(scores: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(scores, counts, out=np.zeros_like(scores), where=counts > 0)
