"""Weighted sums and the logistic function over columns, to the last bit as the built-in models do them on one row."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def weighted_sums(bias: float, weights: Sequence[float], columns: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Returns a bias and the weighted features of each row, added up in their order.

    Args:
        bias: What each sum begins with.
        weights: One for each feature.
        columns: Numbers or booleans, of shape ``(rows,)`` for each feature; one or more.
    """
    totals = np.full(len(columns[0]), bias)
    with np.errstate(over="ignore", invalid="ignore"):
        for weight, column in zip(weights, columns, strict=True):
            totals += weight * column.astype(np.float64, copy=False)
    return totals


def sigmoids(sums: NDArray[np.float64]) -> list[float]:
    """Returns ``1 / (1 + exp(-z))`` of each sum."""
    # The exponential function of numpy differs from Python's in the last bit.
    powers = np.array(list(map(math.exp, (-np.abs(sums)).tolist())))
    probabilities: list[float] = (np.where(sums >= 0, 1.0, powers) / (1 + powers)).tolist()
    return probabilities
