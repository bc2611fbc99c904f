"""Logistic regression, in plain Python: for a handful of features no array library is faster on one row."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from driftline.contract.nearest import did_you_mean
from driftline.contract.schema import ModelSchema, Row, converted, refuse_unknown_keys
from driftline.errors import ModelError
from driftline.scoring.package import Loading


class _Artifact(msgspec.Struct, frozen=True):
    runtime: str
    bias: float
    weights: dict[str, float]


def load(loading: Loading) -> "LogisticModel":
    """Returns the model of a package whose runtime is ``logistic``.

    Raises:
        ModelError: Its artifact is none.
    """
    return LogisticModel.from_artifact(loading.package.schema, loading.package.artifact)


class LogisticModel:
    """The probability that the logistic function gives for a weighted sum.

    Args:
        bias: What is added to the sum.
        weights: One for each feature, in the schema's order.
    """

    def __init__(self, bias: float, weights: Sequence[float]) -> None:
        self._bias = bias
        self._weights = tuple(weights)

    @classmethod
    def from_artifact(cls, schema: ModelSchema, artifact: Mapping[str, object]) -> "LogisticModel":
        """Returns the model that a package's ``[artifact]`` table describes.

        Raises:
            ModelError: A weight is missing, belongs to no feature or is not finite, or a key is unknown.
        """
        refuse_unknown_keys(artifact, _Artifact.__struct_fields__, where="artifact.")
        declared: _Artifact = converted(artifact, _Artifact)
        names = tuple(feature.name for feature in schema.inputs)
        for feature in schema.inputs:
            if feature.type == "category" or feature.nullable:
                raise ModelError(f"a logistic model takes numbers, and {feature.name} may be something else")
        for name in declared.weights:
            if name not in names:
                raise ModelError(f"the weight {name} belongs to no feature{did_you_mean(name, names)}")
        for name in names:
            if name not in declared.weights:
                raise ModelError(f"the feature {name} has no weight")
        if not all(map(math.isfinite, (declared.bias, *declared.weights.values()))):
            raise ModelError("the bias and all weights must be finite")
        return cls(declared.bias, [declared.weights[name] for name in names])

    def score(self, rows: Sequence[Row]) -> list[float]:
        """Returns the probability of class 1 for each row."""
        return [self.score_row(row) for row in rows]

    def score_row(self, row: Row) -> float:
        """Returns the probability of class 1; NaN if the terms overflow in both directions."""
        z = self._bias
        # Not sum(): from Python 3.12 on it rounds differently.
        for weight, value in zip(self._weights, row, strict=True):
            z += weight * value  # type: ignore[operator]  # numbers all, as the schema has it
        return sigmoid(z)


def sigmoid(z: float) -> float:
    """Returns ``1 / (1 + exp(-z))``, without overflow for any z."""
    if z >= 0:
        return 1 / (1 + math.exp(-z))
    growth = math.exp(z)
    return growth / (1 + growth)
