"""Counts of all columns in one vector, so that any two spans of rows are added by one addition."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import CategoryBins
from driftline.drift.profile import Column

Values = NDArray[np.float64] | Sequence[object]
"""The values of a column: floats, NaN where missing, for a number; text or None for a category."""


class Layout:
    """Where in the vector the bins of each column stand.

    Args:
        columns: In the order of the vector.

    Attributes:
        names: The columns' names.
        starts: Where each column's bins begin, shape ``(columns,)``.
        size: Length of the vector.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.names = tuple(column.name for column in columns)
        self._bins = tuple(column.bins for column in columns)
        lengths = [bins.count for bins in self._bins]
        self.starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)
        self.size = sum(lengths)
        self._indexes = [bins.index() if isinstance(bins, CategoryBins) else None for bins in self._bins]
        self._edges = [np.asarray(bins.edges) if not isinstance(bins, CategoryBins) else None for bins in self._bins]

    def count(self, columns: Sequence[Values]) -> NDArray[np.int64]:
        """Returns the rows in each bin, shape ``(size,)``.

        Args:
            columns: The values of each column, all of one length.
        """
        if not columns:
            return np.zeros(self.size, np.int64)
        return self.tally(self.codes(columns))

    def codes(self, columns: Sequence[Values]) -> NDArray[np.intp]:
        """Returns the bin in the vector of each value, shape ``(columns, rows)``; parts of it can be tallied apart."""
        return np.stack([self._codes(at, values) for at, values in enumerate(columns)])

    def tally(self, codes: NDArray[np.intp]) -> NDArray[np.int64]:
        """Returns how often each bin occurs, shape ``(size,)``."""
        return np.bincount(codes.ravel(), minlength=self.size).astype(np.int64, copy=False)

    def _codes(self, at: int, values: Values) -> NDArray[np.intp]:
        start = self.starts[at]
        index = self._indexes[at]
        if index is not None:
            return np.fromiter((start + index.get(value, 1) for value in values), np.intp, len(values))
        numbers = np.asarray(values, dtype=np.float64)
        edges = self._edges[at]
        assert edges is not None
        codes: NDArray[np.intp] = edges.searchsorted(numbers, side="left") + (start + 1)
        missing = numbers != numbers  # noqa: PLR0124 - NaN differs from itself, and this is the quickest way to ask
        if missing.any():
            codes[missing] = start
        return codes

    def split(self, counts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Returns views of the vector, one for each column."""
        return np.split(counts, self.starts[1:])
