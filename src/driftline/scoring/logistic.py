"""Logistic regression, in plain Python: for a handful of features no array library is faster on one row."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from driftline.contract.nearest import did_you_mean
from driftline.contract.schema import ModelSchema, refuse_unknown_keys
from driftline.errors import ModelError


class _Artifact(msgspec.Struct, frozen=True):
    runtime: str
    bias: float
    weights: dict[str, float]


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
        try:
            declared = msgspec.convert(artifact, _Artifact)
        except msgspec.ValidationError as error:
            raise ModelError(f"the model's artifact is wrong: {error}") from error
        for name in declared.weights:
            if name not in schema.names:
                raise ModelError(f"the weight {name} belongs to no feature{did_you_mean(name, schema.names)}")
        for name in schema.names:
            if name not in declared.weights:
                raise ModelError(f"the feature {name} has no weight")
        if not all(map(math.isfinite, (declared.bias, *declared.weights.values()))):
            raise ModelError("the bias and all weights must be finite")
        return cls(declared.bias, [declared.weights[name] for name in schema.names])

    def score(self, matrix: Sequence[Sequence[float]]) -> list[float]:
        """Returns the probability of class 1 for each row."""
        return [self.score_row(values) for values in matrix]

    def score_row(self, values: Sequence[float]) -> float:
        """Returns the probability of class 1; NaN if the terms overflow in both directions."""
        z = self._bias
        # Not sum(): from Python 3.12 on it rounds differently.
        for weight, value in zip(self._weights, values, strict=True):
            z += weight * value
        return sigmoid(z)


def sigmoid(z: float) -> float:
    """Returns ``1 / (1 + exp(-z))``, without overflow for any z."""
    if z >= 0:
        return 1 / (1 + math.exp(-z))
    growth = math.exp(z)
    return growth / (1 + growth)
