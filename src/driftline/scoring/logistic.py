"""Logistic regression, in plain Python, of two classes or of more."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from driftline.contract.schema import Column, ModelSchema, Row
from driftline.errors import ModelError
from driftline.scoring.linear import WeightedSum, declared_terms, weighted_sum
from driftline.scoring.package import Loading


def load(loading: Loading) -> "LogisticModel | SoftmaxModel":
    """Returns the model of a package whose runtime is ``logistic``.

    Raises:
        ModelError: Its artifact is none, or its output has no classes.
    """
    schema, declared = loading.package.schema, declared_terms(loading.package)
    match schema.output:
        case "binary":
            return LogisticModel(weighted_sum(declared, schema, where="artifact."))
        case "multiclass":
            return SoftmaxModel(_sums(schema, declared))
    raise ModelError("a logistic model gives probabilities, and this output is a regression: use linear")


def _sums(schema: ModelSchema, declared: Mapping[str, Any]) -> list[WeightedSum]:
    classes = declared.get("classes")
    names = [str(label) for label in schema.classes]
    if set(declared) != {"classes"} or not isinstance(classes, dict) or sorted(classes) != sorted(names):
        raise ModelError(f"the artifact needs a table classes with bias and weights for each of: {', '.join(names)}")
    sums = []
    for name in names:
        if not isinstance(classes[name], dict):
            raise ModelError(f"the class {name} must be a table with bias and weights")
        sums.append(weighted_sum(classes[name], schema, where=f"artifact.classes.{name}."))
    return sums


class LogisticModel:
    """The probability that the logistic function gives for a weighted sum.

    Args:
        weighted: The sum.
    """

    def __init__(self, weighted: WeightedSum) -> None:
        self._weighted = weighted

    def score(self, rows: Sequence[Row]) -> list[float]:
        """Returns the probability of the second class for each row."""
        exp = math.exp
        # As sigmoid does it: a call for each would take half as long again.
        return [1 / (1 + exp(-z)) if z >= 0 else (growth := exp(z)) / (1 + growth) for z in self._weighted.each(rows)]

    def score_columns(self, columns: Sequence[Column]) -> list[float]:
        """Returns the probability for each row; see :class:`~driftline.scoring.model.ScoresColumns`."""
        from driftline.scoring.columns import sigmoids  # noqa: PLC0415 (numpy, which who has columns has loaded)

        return sigmoids(self._weighted.of_columns(columns))

    def score_row(self, row: Row) -> float:
        """Returns the probability of the second class; NaN if the terms overflow in both directions."""
        return sigmoid(self._weighted(row))


class SoftmaxModel:
    """The probabilities that the softmax function gives for a weighted sum for each class.

    Args:
        sums: One for each class, in the order of the labels.
    """

    def __init__(self, sums: Sequence[WeightedSum]) -> None:
        self._sums = tuple(sums)

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        """Returns the probabilities of the classes for each row."""
        return [self.score_row(row) for row in rows]

    def score_row(self, row: Row) -> tuple[float, ...]:
        """Returns the probabilities of the classes; NaN where terms overflow."""
        return _softmax([weighted(row) for weighted in self._sums])

    def score_columns(self, columns: Sequence[Column]) -> list[tuple[float, ...]]:
        """Returns the probabilities for each row; see :class:`~driftline.scoring.model.ScoresColumns`."""
        sums = (weighted.of_columns(columns).tolist() for weighted in self._sums)
        return list(map(_softmax, zip(*sums, strict=True)))


def _softmax(sums: Sequence[float]) -> tuple[float, ...]:
    if not all(map(math.isfinite, sums)):
        return (math.nan,) * len(sums)
    most = max(sums)
    powers = [math.exp(each - most) for each in sums]
    total = math.fsum(powers)
    return tuple(power / total for power in powers)


def sigmoid(z: float) -> float:
    """Returns ``1 / (1 + exp(-z))``, without overflow for any z."""
    if z >= 0:
        return 1 / (1 + math.exp(-z))
    growth = math.exp(z)
    return growth / (1 + growth)
