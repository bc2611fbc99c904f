"""How good predicted numbers were, from sums of their errors that are exact, whatever their unit.

An error has the unit of the prediction, of which nothing is known beforehand: no fixed point fits all. So a sum is kept
as digits to the base of 2**24, from 2**-240 up to 2**240, each a whole number of its own. They add up without a
carry, in any order and back, for 2**39 rows.
"""

import math
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, mean
from driftline.quality.tally import Counts

_BITS: Final = 24
_DIGITS: Final = 20
_EXPONENTS: Final = tuple(_BITS * (at - _DIGITS // 2) for at in range(_DIGITS))
"""Of 2, what each digit counts in; the smallest first."""
LARGEST: Final = 2.0**59
"""An error that is larger counts as this: its fourth power has a place among the digits."""
_SUMS: Final = 4
ERRORS_SIZE: Final = 1 + _SUMS * _DIGITS


class Errors(NamedTuple):
    """Sums over the errors of predictions whose outcomes are known.

    Attributes:
        rows: How many.
        over: Sum of the errors of those that were too high.
        under: Sum of the sizes of the errors of those that were too low.
        squares: Sum of their squares.
        fourths: Sum of their fourth powers.
    """

    rows: int
    over: float
    under: float
    squares: float
    fourths: float

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Returns what a vector of :func:`tally_errors`, or a sum of such, says."""
        sums = counts[1:].reshape(_SUMS, _DIGITS)
        return cls(int(counts[0]), *(_number(digits) for digits in sums))

    @property
    def mae(self) -> Interval | None:
        """The mean absolute error; None for fewer than two rows."""
        return mean(self.over + self.under, self.squares, self.rows)

    @property
    def bias(self) -> Interval | None:
        """The mean error: above 0 where predictions are too high; None for fewer than two rows."""
        return mean(self.over - self.under, self.squares, self.rows)

    @property
    def rmse(self) -> Interval | None:
        """The root of the mean squared error, its interval that of the mean squared error, taken the root of."""
        squared = mean(self.squares, self.fourths, self.rows)
        if squared is None:
            return None
        return Interval(*(math.sqrt(max(0.0, each)) for each in squared))


def tally_errors(predictions: NDArray[np.float64], outcomes: NDArray[np.float64]) -> Counts:
    """Returns the sums of some rows, shape ``(ERRORS_SIZE,)``; both are finite, of shape ``(rows,)``."""
    with np.errstate(over="ignore"):
        errors = np.clip(predictions - outcomes, -LARGEST, LARGEST)
    squares = errors**2
    parts = (np.maximum(errors, 0), np.maximum(-errors, 0), squares, squares**2)
    return np.concatenate([[len(errors)], *(_digits(part) for part in parts)]).astype(np.int64, copy=False)


def _digits(values: NDArray[np.float64]) -> Counts:
    """The sum of values of 0 and more, as digits; each step is exact, for it only takes bits away."""
    left = values.copy()
    sums = np.zeros(_DIGITS, np.int64)
    for at in reversed(range(_DIGITS)):
        digit = np.floor(np.ldexp(left, -_EXPONENTS[at]))
        left -= np.ldexp(digit, _EXPONENTS[at])
        sums[at] = int(digit.astype(np.int64).sum())
    return sums


def _number(digits: Counts) -> float:
    return math.fsum(math.ldexp(float(digit), exponent) for digit, exponent in zip(digits, _EXPONENTS, strict=True))
