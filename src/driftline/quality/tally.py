"""The counts that all of quality is computed from: vectors of integers, which add up exactly, in any order, and back.

Scores are counted in fixed bins. What a bin would blur (the mean score, losses) is summed beside it in fixed point, so
that a sum of sums is the same to the last bit, whichever came first, and a correction undoes what it corrects.
"""

from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

ENDS: Final = tuple(digit * 10.0**-power for power in range(6, 2, -1) for digit in (1, 2, 5))
EDGES: Final = np.unique([*ENDS, *(np.arange(1, 200) / 200), *(1 - np.array(ENDS))])
"""Where a bin ends and the next begins, which has the edge: every half per cent, and finer at both ends."""

BINS: Final = len(EDGES) + 1
LOWEST: Final = 1e-15
"""Scores nearer to 0 or 1 than this are taken for this where a loss would be infinite."""

UNIT: Final = 1 << 32
"""What a score of 1 counts as in a sum of scores; room for two billion of them."""

LOSS_UNIT: Final = 1 << 24
"""What a loss of 1 counts as in a sum of losses."""


EXACT_ROWS: Final = 1 << 20
"""So many scores in fixed point add up to less than 2**53, which floats hold exactly."""


class Labelled(NamedTuple):
    """Predictions whose outcomes are known.

    Attributes:
        negatives: With outcome 0, by bin of the score, shape ``(BINS,)``.
        positives: With outcome 1.
        scores: Sum of the scores in each bin.
        confusion: Rows by predicted class and outcome, shape ``(2, 2)``.
        log_loss: Sum of ``-log`` of the probability that was given to what came, in nats.
        log_loss_squares: Sum of its squares.
        brier: Sum of ``(score - outcome) ** 2``.
        brier_squares: Sum of its squares.
    """

    negatives: Counts
    positives: Counts
    scores: NDArray[np.float64]
    confusion: Counts
    log_loss: float
    log_loss_squares: float
    brier: float
    brier_squares: float

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.confusion.sum())

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Returns what a vector of :func:`tally_labelled`, or a sum of such, says."""
        negatives, positives, scores, confusion, losses = np.split(counts, np.cumsum([BINS, BINS, BINS, 4]))
        log_loss, log_loss_squares, brier, brier_squares = (losses / LOSS_UNIT).tolist()
        return cls(
            negatives,
            positives,
            scores / UNIT,
            confusion.reshape(2, 2),
            log_loss,
            log_loss_squares,
            brier,
            brier_squares,
        )


LABELLED_SIZE: Final = 3 * BINS + 8


def tally_labelled(scores: NDArray[np.float64], classes: NDArray[np.int64], outcomes: NDArray[np.int64]) -> Counts:
    """Returns the counts of predictions whose outcomes are known, shape ``(LABELLED_SIZE,)``.

    Args:
        scores: Probability of class 1, in 0..1, shape ``(rows,)``.
        classes: The class that was predicted, 0 or 1.
        outcomes: The true class, 0 or 1.
    """
    bins = bins_of(scores)
    given = np.clip(np.where(outcomes == 1, scores, 1 - scores), LOWEST, 1.0)
    log_loss, brier = -np.log(given), (scores - outcomes) ** 2
    losses = [fixed(loss, LOSS_UNIT).sum() for loss in (log_loss, log_loss**2, brier, brier**2)]
    return np.concatenate(
        [
            np.bincount(bins[outcomes == 0], minlength=BINS),
            np.bincount(bins[outcomes == 1], minlength=BINS),
            _summed(bins, scores, BINS),
            np.bincount(2 * classes + outcomes, minlength=4),
            np.array(losses, np.int64),
        ]
    ).astype(np.int64, copy=False)


class Scored(NamedTuple):
    """Predictions, whether their outcomes are known or not.

    Attributes:
        counts: Rows by bin of the score, shape ``(BINS,)``.
        scores: Sum of the scores in each bin.
        class_rows: Rows by predicted class, shape ``(2,)``.
        class_scores: Sum of their scores.
        class_squares: Sum of the squares of their scores.
    """

    counts: Counts
    scores: NDArray[np.float64]
    class_rows: Counts
    class_scores: NDArray[np.float64]
    class_squares: NDArray[np.float64]

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.class_rows.sum())

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Returns what a vector of :func:`tally_scored`, or a sum of such, says."""
        bins, scores, rows, class_scores, squares = np.split(counts, np.cumsum([BINS, BINS, 2, 2]))
        return cls(bins, scores / UNIT, rows, class_scores / UNIT, squares / UNIT)


SCORED_SIZE: Final = 2 * BINS + 6


def tally_scored(scores: NDArray[np.float64], classes: NDArray[np.int64]) -> Counts:
    """Returns the counts of predictions, shape ``(SCORED_SIZE,)``.

    Args:
        scores: Probability of class 1, in 0..1, shape ``(rows,)``.
        classes: The class that was predicted, 0 or 1.
    """
    bins = bins_of(scores)
    return np.concatenate(
        [
            np.bincount(bins, minlength=BINS),
            _summed(bins, scores, BINS),
            np.bincount(classes, minlength=2),
            _summed(classes, scores, 2),
            _summed(classes, scores**2, 2),
        ]
    ).astype(np.int64, copy=False)


def bins_of(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns the bin of each score."""
    return np.searchsorted(EDGES, scores, side="right")


def fixed(values: NDArray[np.float64], unit: int) -> Counts:
    """Returns values in fixed point."""
    return np.rint(values * unit).astype(np.int64)


def _summed(groups: NDArray[np.intp] | Counts, values: NDArray[np.float64], count: int) -> Counts:
    sums = np.zeros(count, np.int64)
    for start in range(0, len(values), EXACT_ROWS):
        own = slice(start, start + EXACT_ROWS)
        sums += np.bincount(groups[own], np.rint(values[own] * UNIT), count).astype(np.int64)
    return sums
