"""The area under the ROC curve, from counts by bin of the score."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, within_unit

Weights = NDArray[np.float64] | NDArray[np.int64]


class Ranking(NamedTuple):
    """How well scores rank class 1 above class 0.

    Attributes:
        auc: Probability that a random positive has a higher score than a random negative, half of the ties counted:
            those of one bin are ties.
        blurred: The AUC of the scores themselves is at most so far away, whatever they are within their bins. 0 where
            no bin holds both classes, or the scores in each bin are equal.
    """

    auc: Interval
    blurred: float


class Places(NamedTuple):
    """Where each bin stands among the other class.

    Attributes:
        of_positive: Share of negatives below, half of those in the bin counted, shape ``(bins,)``.
        of_negative: Share of positives above, counted in the same way.
        auc: The mean of either over its own class.
        blurred: See :class:`Ranking`.
    """

    of_positive: NDArray[np.float64]
    of_negative: NDArray[np.float64]
    auc: float
    blurred: float


def places(negatives: Weights, positives: Weights) -> Places | None:
    """Returns where each bin stands; None unless there are both classes.

    Args:
        negatives: Rows, or their weight, by bin in the order of the score, shape ``(bins,)``.
        positives: The same for class 1.
    """
    all_negatives, all_positives = float(negatives.sum()), float(positives.sum())
    if all_negatives <= 0 or all_positives <= 0:
        return None
    of_positive = np.asarray((np.cumsum(negatives) - negatives / 2) / all_negatives, np.float64)
    of_negative = np.asarray(1 - (np.cumsum(positives) - positives / 2) / all_positives, np.float64)
    pairs = all_negatives * all_positives
    auc = float(positives @ of_positive) / all_positives
    return Places(of_positive, of_negative, auc, float(positives @ negatives) / (2 * pairs))


def rank(negatives: Weights, positives: Weights) -> Ranking | None:
    """Returns the AUC of counted rows; None unless there are both classes.

    Its variance is that of DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
    receiver operating characteristic curves: a nonparametric approach", Biometrics 44 (1988), of which ties are a part;
    where there are fewer than two rows of a class, that of Hanley and McNeil, "The meaning and use of the area under a
    receiver operating characteristic (ROC) curve", Radiology 143 (1982).

    Args:
        negatives: Rows with outcome 0 by bin, in the order of the score, shape ``(bins,)``.
        positives: Rows with outcome 1.
    """
    found = places(negatives, positives)
    if found is None:
        return None
    all_negatives, all_positives = float(negatives.sum()), float(positives.sum())
    if min(all_negatives, all_positives) < 2:  # noqa: PLR2004 - one row has no variance
        variance = hanley_mcneil(found.auc, all_negatives, all_positives)
    else:
        positive_spread = float(positives @ (found.of_positive - found.auc) ** 2) / (all_positives - 1)
        negative_spread = float(negatives @ (found.of_negative - found.auc) ** 2) / (all_negatives - 1)
        variance = positive_spread / all_positives + negative_spread / all_negatives
    auc = within_unit(found.auc, math.sqrt(variance), min(all_negatives, all_positives))
    return Ranking(auc, found.blurred)


def hanley_mcneil(auc: float, negatives: float, positives: float) -> float:
    """Returns the variance that an AUC has if scores are exponential; a good guess from three numbers."""
    one, other = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (one - auc**2) + (negatives - 1) * (other - auc**2)
    return max(0.0, spread / (negatives * positives))
