"""Two models on the same rows: how often they agree, how far their scores are apart, and which was nearer the truth.

Both have scored the same rows, so what counts is the difference on each row: its mean has a far smaller error than the
difference of two means (a paired comparison; T. G. Dietterich, "Approximate statistical tests for comparing supervised
classification learning algorithms", Neural Computation 10, 1998). Where each has answered rows of its own, as a canary
does, there are only the two means (:func:`unpaired`).
"""

import math
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
    """One measure of both: of quality over the rows whose outcome is known, or of what they gave.

    Attributes:
        champion: Of the one that answered.
        challenger: Of the other one.
        difference: The challenger's less the champion's; row by row, if both have scored the same rows.
        better: Whether more of it is better; None where it says nothing of that.
    """

    champion: Interval
    challenger: Interval
    difference: Interval
    better: bool | None


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


class Unpaired(NamedTuple):
    """What came of a comparison of two models that have each answered rows of their own.

    Attributes:
        rows: Answered by the champion, and by the challenger.
        given: The share of each predicted class, by its name; of numbers their ``mean``. Without what has too few rows.
        labelled: Rows of each whose outcome is known.
        measures: By name; empty where fewer than two outcomes of either are known.
    """

    rows: tuple[int, int]
    given: Mapping[str, Measure]
    labelled: tuple[int, int]
    measures: Mapping[str, Measure]


def unpaired(
    champion: Side, challenger: Side, outcomes: Numbers, challenger_outcomes: Numbers, *, classes: Sequence[str]
) -> Unpaired:
    """Returns the comparison of two models on rows of their own.

    Args:
        champion: The one that answers most.
        challenger: The other one.
        outcomes: What came true of the champion's rows, as for :func:`versus`.
        challenger_outcomes: What came true of the challenger's rows.
        classes: The classes' names, in order; none for a regression.
    """
    both = ((champion, outcomes), (challenger, challenger_outcomes))
    given: dict[str, Measure | None] = {
        name: _independent(_share(champion, at), _share(challenger, at), None) for at, name in enumerate(classes)
    }
    if not classes:
        given["mean"] = _independent(_mean(champion.scores), _mean(challenger.scores), None)
    known = [~np.isnan(told) for _, told in both]
    labelled = (int(known[0].sum()), int(known[1].sum()))
    losses = _class_losses if classes else _errors
    ours, theirs = (losses(side.of(rows), told[rows]) for (side, told), rows in zip(both, known, strict=True))
    measures: dict[str, Measure | None] = {}
    if min(labelled) > 1:
        for name in ours:
            measures[name] = _independent(_estimate(name, ours[name]), _estimate(name, theirs[name]), _better(name))
    return Unpaired((len(outcomes), len(challenger_outcomes)), _there(given), labelled, _there(measures))


def _there(measures: Mapping[str, Measure | None]) -> dict[str, Measure]:
    return {name: measure for name, measure in measures.items() if measure is not None}


def _share(side: Side, place: int) -> Interval | None:
    return wilson(int((side.classes == place).sum()), len(side.classes))


def _estimate(name: str, values: Numbers) -> Interval | None:
    """The mean; of accuracy as a share, for a canary's few rows may all be right, which is not to be sure of it."""
    return wilson(float(values.sum()), len(values)) if name == "accuracy" else _mean(values)


def _independent(champion: Interval | None, challenger: Interval | None, better: bool | None) -> Measure | None:
    """The difference of two independent estimates.

    Its reach is the root of the sum of the squares of theirs. Of means, that is the interval of the sum of the squared
    standard errors; of shares, the one that R. G. Newcombe recommends ("Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17, 1998, method 10).
    """
    if champion is None or challenger is None:
        return None
    value = challenger.value - champion.value
    low = value - math.hypot(challenger.value - challenger.low, champion.high - champion.value)
    high = value + math.hypot(challenger.high - challenger.value, champion.value - champion.low)
    return Measure(champion, challenger, Interval(value, low, high), better)


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
    return Measure(champion, challenger, difference, _better(name))


def _better(name: str) -> bool | None:
    return None if name == "bias" else name == "accuracy"


def _mean(values: Numbers) -> Interval | None:
    return mean(float(values.sum()), float((values**2).sum()), len(values))
