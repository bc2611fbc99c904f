"""How far two profiles are from each other, whose bins need not be the same."""

import numpy as np

from driftline.drift.bins import CategoryBins, NumberBins
from driftline.drift.profile import Column


def apart(one: Column, other: Column) -> float | None:
    """Returns the share of rows by which two references of a column differ; None if they are not of one kind.

    Of numbers it is the largest difference of the two distribution functions at the edges of either, each taken to
    rise evenly within a bin; of categories, the total variation.
    """
    if isinstance(one.bins, CategoryBins) and isinstance(other.bins, CategoryBins):
        mine, theirs = _shares(one), _shares(other)
        return sum(abs(mine.get(name, 0) - theirs.get(name, 0)) for name in {*mine, *theirs}) / 2
    if isinstance(one.bins, NumberBins) and isinstance(other.bins, NumberBins):
        edges = np.union1d(one.bins.edges, other.bins.edges)
        heights = [
            np.interp(edges, column.bins.edges, np.cumsum(column.counts[1:-1]) / max(sum(column.counts), 1))
            for column in (one, other)
            if isinstance(column.bins, NumberBins)
        ]
        missing = [column.counts[0] / max(sum(column.counts), 1) for column in (one, other)]
        return max(float(np.abs(heights[0] - heights[1]).max()), abs(missing[0] - missing[1]))
    return None


def _shares(column: Column) -> dict[str, float]:
    rows = max(sum(column.counts), 1)
    return {label: count / rows for label, count in zip(column.bins.labels(), column.counts, strict=True)}
