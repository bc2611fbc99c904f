"""Two models on the same rows: how often they agree, how far their scores are apart, and which was nearer the truth.

Both have scored the same rows, so what counts is the difference on each row: its mean has a far smaller error than the
difference of two means (a paired comparison; T. G. Dietterich, "Approximate statistical tests for comparing supervised
classification learning algorithms", Neural Computation 10, 1998).
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, mean, wilson
from driftline.quality.tally import LOWEST

Numbers = NDArray[np.float64]
QUANTILES: Final = (0.5, 0.95, 0.99, 1.0)
"""Of the size of the differences of scores."""


class Side(NamedTuple):
    """What one model gave for some rows.

    Attributes:
        scores: Of two classes the probability of the second, of more the probabilities, shape ``(rows, classes)``; for
            a regression the numbers. Else of shape ``(rows,)``.
        classes: The predicted class as a place among the classes, -1 for one that is none; all 0 for a regression.
    """

    scores: Numbers
    classes: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: "Sequence[Side]") -> Self:
        """Returns several of them as one."""
        return cls(np.concatenate([it.scores for it in parts]), np.concatenate([it.classes for it in parts]))

    def of(self, rows: NDArray[np.bool_]) -> Self:
        """Returns some of the rows."""
        return type(self)(self.scores[rows], self.classes[rows])


class Measure(NamedTuple):
    """One measure of quality of both, over the rows whose outcome is known.

    Attributes:
        champion: Of the one that answered.
        challenger: Of the other one.
        difference: The challenger's less the champion's, row by row.
        better: Whether more of it is better.
    """

    champion: Interval
    challenger: Interval
    difference: Interval
    better: bool


class Versus(NamedTuple):
    """What came of a comparison.

    Attributes:
        rows: Scored by both.
        agreement: Share of the rows with the same predicted class; None for a regression.
        shift: Mean of the challenger's score less the champion's, of more than two classes of the probability of the
            class that the champion predicted.
        apart: The size of that difference, by :data:`QUANTILES`.
        labelled: Rows whose outcome is known.
        measures: By name; empty where fewer than two outcomes are known.
    """

    rows: int
    agreement: Interval | None
    shift: Interval | None
    apart: tuple[float, ...]
    labelled: int
    measures: Mapping[str, Measure]


def versus(champion: Side, challenger: Side, outcomes: Numbers, *, regression: bool) -> Versus:
    """Returns the comparison of two models on the same rows.

    Args:
        champion: The one that answered.
        challenger: The other one.
        outcomes: The true class as a place among the classes, or the true number, shape ``(rows,)``; NaN where it is
            not known.
        regression: Whether they give numbers.
    """
    rows = len(outcomes)
    same = int((champion.classes == challenger.classes).sum())
    differences = _differences(champion, challenger)
    known = ~np.isnan(outcomes)
    losses = _errors if regression else _class_losses
    ours, theirs = (losses(side.of(known), outcomes[known]) for side in (champion, challenger))
    return Versus(
        rows,
        None if regression else wilson(same, rows),
        _mean(differences),
        tuple(np.quantile(np.abs(differences), QUANTILES).tolist()) if rows else (),
        int(known.sum()),
        {name: measure for name in ours if (measure := _measure(name, ours[name], theirs[name])) is not None},
    )


def _differences(champion: Side, challenger: Side) -> Numbers:
    if champion.scores.ndim == 1:
        return challenger.scores - champion.scores
    at = np.maximum(champion.classes, 0)[:, None]
    return np.take_along_axis(challenger.scores - champion.scores, at, axis=1)[:, 0]


def _class_losses(side: Side, outcomes: Numbers) -> dict[str, Numbers]:
    truth = outcomes.astype(np.int64)
    right = (side.classes == truth).astype(np.float64)
    if side.scores.ndim == 1:
        given = np.where(truth == 1, side.scores, 1 - side.scores)
        brier = (side.scores - truth) ** 2
    else:
        hot = np.zeros_like(side.scores)
        np.put_along_axis(hot, truth[:, None], 1.0, axis=1)
        given = (side.scores * hot).sum(axis=1)
        brier = ((side.scores - hot) ** 2).sum(axis=1)
    return {"accuracy": right, "log loss": -np.log(np.clip(given, LOWEST, 1.0)), "Brier score": brier}


def _errors(side: Side, outcomes: Numbers) -> dict[str, Numbers]:
    errors = side.scores - outcomes
    return {"mean absolute error": np.abs(errors), "mean squared error": errors**2, "bias": errors}


def _measure(name: str, ours: Numbers, theirs: Numbers) -> Measure | None:
    champion, challenger, difference = _mean(ours), _mean(theirs), _mean(theirs - ours)
    if champion is None or challenger is None or difference is None:
        return None
    return Measure(champion, challenger, difference, name == "accuracy")


def _mean(values: Numbers) -> Interval | None:
    return mean(float(values.sum()), float((values**2).sum()), len(values))
