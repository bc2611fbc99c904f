"""How good predicted numbers were."""

import math
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, mean


class Errors(NamedTuple):
    """Sums over the errors of predictions.

    Their unit is the prediction's own, of which no fixed point can be known beforehand; so these are floats, and two
    ways to add the same rows up may differ in the last digits.

    Attributes:
        rows: How many.
        sizes: Sum of their absolute values.
        squares: Sum of their squares.
        fourths: Sum of their fourth powers.
    """

    rows: int
    sizes: float
    squares: float
    fourths: float

    @classmethod
    def of(cls, predictions: NDArray[np.float64], outcomes: NDArray[np.float64]) -> Self:
        """Returns the sums of some rows, both of shape ``(rows,)``."""
        errors = np.abs(predictions - outcomes)
        return cls(len(errors), float(errors.sum()), float((errors**2).sum()), float((errors**4).sum()))

    def plus(self, other: Self) -> Self:
        """Returns the sums of both."""
        return type(self)(
            self.rows + other.rows,
            self.sizes + other.sizes,
            self.squares + other.squares,
            self.fourths + other.fourths,
        )

    @property
    def mae(self) -> Interval | None:
        """The mean absolute error; None for fewer than two rows."""
        return mean(self.sizes, self.squares, self.rows)

    @property
    def rmse(self) -> Interval | None:
        """The root of the mean squared error, its interval that of the mean squared error, taken the root of."""
        squared = mean(self.squares, self.fourths, self.rows)
        if squared is None:
            return None
        return Interval(*(math.sqrt(max(0.0, each)) for each in squared))
