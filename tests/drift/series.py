"""Series with dependent rows, for the tests of what dependence does."""

import numpy as np
from numpy.typing import NDArray


def autoregressive(draw: np.random.Generator, rows: int, phi: float) -> NDArray[np.float64]:
    """Returns a stationary AR(1) series: each value is ``phi`` times the one before, and noise."""
    values = draw.normal(size=rows)
    values[0] /= np.sqrt(1 - phi**2)
    for at in range(1, rows):
        values[at] += phi * values[at - 1]
    return values
