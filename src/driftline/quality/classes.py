"""How good predictions of many classes were: from counts by predicted class and outcome, and sums of losses."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, around, mean, wilson
from driftline.quality.tally import LOSS_UNIT, LOWEST, Counts, fixed

_LOSSES: Final = 4


class LabelledClasses(NamedTuple):
    """Predictions whose outcomes are known.

    Attributes:
        confusion: Rows by predicted class and outcome, shape ``(classes, classes)``.
        log_loss: Sum of ``-log`` of the probability that was given to what came, in nats.
        log_loss_squares: Sum of its squares.
        brier: Sum over the rows of the squared distance of the probabilities from what came, in 0..2 for each.
        brier_squares: Sum of its squares.
    """

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
        """Returns what a vector of :func:`tally_classes`, or a sum of such, says."""
        classes = math.isqrt(len(counts) - _LOSSES)
        losses = (counts[-_LOSSES:] / LOSS_UNIT).tolist()
        return cls(counts[:-_LOSSES].reshape(classes, classes), *losses)


def labelled_size(classes: int) -> int:
    """Returns the length of the vector of :func:`tally_classes`."""
    return classes**2 + _LOSSES


def tally_classes(
    scores: NDArray[np.float64], predicted: NDArray[np.int64], outcomes: NDArray[np.int64], classes: int
) -> Counts:
    """Returns the counts of predictions whose outcomes are known, shape ``(labelled_size(classes),)``.

    Args:
        scores: The probability of each class, shape ``(rows, classes)``; ``(rows, 0)`` where they are not looked at,
            and then nothing is lost.
        predicted: Which class was predicted, shape ``(rows,)``.
        outcomes: Which came.
        classes: How many there are.
    """
    confusion = np.bincount(classes * predicted + outcomes, minlength=classes**2)
    losses = [0] * _LOSSES
    if scores.shape[1]:
        given = scores[np.arange(len(scores)), outcomes]
        log_loss = -np.log(np.clip(given, LOWEST, 1.0))
        # The sum of (p - outcome)**2: of the class that came 1 - p is squared, and of the others p.
        brier = (scores**2).sum(axis=1) - 2 * given + 1
        losses = [int(fixed(loss, LOSS_UNIT).sum()) for loss in (log_loss, log_loss**2, brier, brier**2)]
    return np.concatenate([confusion, np.array(losses)]).astype(np.int64, copy=False)


class ClassQuality(NamedTuple):
    """How good predictions of one class were; what the outcomes cannot say is None.

    Attributes:
        predicted: Rows that were called so.
        came: Rows that were so.
        precision: Of those called so the share that were.
        recall: Of those that were so the share that were called so.
        f1: The harmonic mean of both.
    """

    predicted: int
    came: int
    precision: Interval | None
    recall: Interval | None
    f1: float | None


class ClassesQuality(NamedTuple):
    """What the outcomes say.

    Attributes:
        rows: Predictions whose outcomes are known.
        accuracy: Share of predicted classes that came.
        balanced_accuracy: Mean of the recalls of the classes that came at all.
        macro_f1: Mean of their F1; None without rows.
        log_loss: Mean, in nats; None where probabilities are not looked at.
        brier: Mean, in 0..2, as Brier defined it ("Verification of forecasts expressed in terms of probability",
            Monthly Weather Review 78, 1950): of two classes twice what is in use for one; None as above.
        classes: Each, in the model's order.
        confusion: Rows by predicted class and outcome.
    """

    rows: int
    accuracy: Interval | None
    balanced_accuracy: Interval | None
    macro_f1: float | None
    log_loss: Interval | None
    brier: Interval | None
    classes: Sequence[ClassQuality]
    confusion: Counts


def quality_of_classes(labelled: LabelledClasses, *, probabilities: bool) -> ClassesQuality:
    """Returns how good these predictions were.

    Args:
        labelled: What is known of them.
        probabilities: Whether those were looked at.
    """
    rows, confusion = labelled.rows, labelled.confusion
    classes = [_of_class(confusion, at) for at in range(len(confusion))]
    f1 = [each.f1 or 0.0 for each in classes if each.came]
    return ClassesQuality(
        rows,
        wilson(int(np.trace(confusion)), rows),
        _balanced(classes),
        sum(f1) / len(f1) if f1 else None,
        mean(labelled.log_loss, labelled.log_loss_squares, rows) if probabilities else None,
        mean(labelled.brier, labelled.brier_squares, rows) if probabilities else None,
        classes,
        confusion,
    )


def _of_class(confusion: Counts, at: int) -> ClassQuality:
    hits, predicted, came = int(confusion[at, at]), int(confusion[at].sum()), int(confusion[:, at].sum())
    f1 = 2 * hits / (predicted + came) if predicted + came else None
    return ClassQuality(predicted, came, wilson(hits, predicted), wilson(hits, came), f1)


def _balanced(classes: Sequence[ClassQuality]) -> Interval | None:
    """The mean of recalls, which are independent shares; each is smoothed by a row, since 3 of 3 is not for sure."""
    found = [(each.recall.value, each.came) for each in classes if each.recall is not None]
    if not found:
        return None
    smoothed = [(recall * came + 1, came + 2) for recall, came in found]
    variance = sum(hits / rows * (1 - hits / rows) / rows for hits, rows in smoothed) / len(found) ** 2
    return around(sum(recall for recall, _ in found) / len(found), math.sqrt(variance), 0.0, 1.0)
