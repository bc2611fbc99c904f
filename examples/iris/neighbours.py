"""A model of one's own: any class with a method ``predict``."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NEAREST = 7


class Neighbours:
    """Says how many of the nearest flowers that are known are of each species.

    Args:
        package: The folder of the package, whose sample are the flowers that are known.
    """

    def __init__(self, package: Path) -> None:
        table = np.loadtxt(package / "sample.csv", delimiter=",", skiprows=1)
        self._flowers, species = table[:, :-1], table[:, -1].astype(int)
        self._species = np.eye(species.max() + 1)[species]

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the share of each species, shape ``(rows, species)``."""
        apart = ((matrix[:, None, :] - self._flowers[None, :, :]) ** 2).sum(axis=2)
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :NEAREST]
        shares: NDArray[np.float64] = self._species[nearest].mean(axis=1)
        return shares
