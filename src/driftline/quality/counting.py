"""What is counted of the predictions of a model, by what it gives: vectors of integers that add up in any order."""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from driftline.contract.schema import Label, Output
from driftline.quality.classes import LabelledClasses, labelled_size, tally_classes
from driftline.quality.regression import ERRORS_SIZE, tally_errors
from driftline.quality.tally import LABELLED_SIZE, SCORED_SIZE, Counts, Labelled, Scored, tally_labelled, tally_scored

Scores = NDArray[np.float64]
"""Of each row the probability, or the number, shape ``(rows,)``; or the probabilities of classes, two-dimensional."""
Classes = NDArray[np.int64]
"""Of each row which class, shape ``(rows,)``; -1 for none."""


class Counting(Protocol):
    """How the predictions of one sort of model are counted.

    Attributes:
        scored_size: Length of the vector of predictions.
        labelled_size: Length of the vector of those whose outcomes are known.
    """

    scored_size: int
    labelled_size: int

    def usable(self, scores: Scores, classes: Classes) -> NDArray[np.bool_]:
        """Returns whether each row can be judged at all."""

    def scored(self, scores: Scores, classes: Classes) -> Counts:
        """Returns the vector of rows that are usable, whether their outcomes are known or not."""

    def labelled(self, scores: Scores, classes: Classes, outcomes: Scores) -> Counts:
        """Returns the vector of rows that are usable and have outcomes: which class, or the number."""

    def scored_rows(self, counts: Counts) -> int:
        """Returns the rows in a vector of :meth:`scored`."""

    def labelled_rows(self, counts: Counts) -> int:
        """Returns the rows in a vector of :meth:`labelled`."""


class _OfTwo:
    scored_size = SCORED_SIZE
    labelled_size = LABELLED_SIZE

    def usable(self, scores: Scores, classes: Classes) -> NDArray[np.bool_]:
        return np.asarray((scores >= 0) & (scores <= 1) & (classes >= 0))

    def scored(self, scores: Scores, classes: Classes) -> Counts:
        return tally_scored(scores, classes)

    def labelled(self, scores: Scores, classes: Classes, outcomes: Scores) -> Counts:
        return tally_labelled(scores, classes, outcomes.astype(np.int64))

    def scored_rows(self, counts: Counts) -> int:
        return Scored.of(counts).rows

    def labelled_rows(self, counts: Counts) -> int:
        return Labelled.of(counts).rows


class _OfMany:
    def __init__(self, classes: int) -> None:
        self.scored_size = classes
        self.labelled_size = labelled_size(classes)
        self._classes = classes

    def usable(self, scores: Scores, classes: Classes) -> NDArray[np.bool_]:
        return np.asarray((classes >= 0) & ((scores >= 0) & (scores <= 1)).all(axis=1))

    def scored(self, scores: Scores, classes: Classes) -> Counts:
        del scores
        return np.bincount(classes, minlength=self._classes).astype(np.int64, copy=False)

    def labelled(self, scores: Scores, classes: Classes, outcomes: Scores) -> Counts:
        return tally_classes(scores, classes, outcomes.astype(np.int64), self._classes)

    def scored_rows(self, counts: Counts) -> int:
        return int(counts.sum())

    def labelled_rows(self, counts: Counts) -> int:
        return LabelledClasses.of(counts).rows


class _OfNumbers:
    scored_size = 1
    labelled_size = ERRORS_SIZE

    def usable(self, scores: Scores, classes: Classes) -> NDArray[np.bool_]:
        del classes
        return np.isfinite(scores)

    def scored(self, scores: Scores, classes: Classes) -> Counts:
        del classes
        return np.array([len(scores)], np.int64)

    def labelled(self, scores: Scores, classes: Classes, outcomes: Scores) -> Counts:
        del classes
        return tally_errors(scores, outcomes)

    def scored_rows(self, counts: Counts) -> int:
        return int(counts[0])

    def labelled_rows(self, counts: Counts) -> int:
        return int(counts[0])


TWO_CLASSES: Final[Counting] = _OfTwo()


def counting_of(output: Output, classes: Sequence[Label]) -> Counting:
    """Returns how the predictions of a model are counted.

    Args:
        output: What it gives.
        classes: What it can predict, in its order.
    """
    match output:
        case "binary":
            return TWO_CLASSES
        case "multiclass":
            return _OfMany(len(classes))
        case "regression":
            return _OfNumbers()
