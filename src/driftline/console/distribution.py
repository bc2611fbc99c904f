"""Two distributions on one axis, from counts over the same bins."""

import itertools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.console import words
from driftline.drift.bins import MISSING, STRANGE, NumberBins
from driftline.drift.profile import Column

BARS: Final = 40
"""Of equal width, on the axis of a number: quantile bins would all look alike."""
WIDEST: Final = 0.6
"""Share of the axis that an outermost bin may have, as against all others."""


class Share(NamedTuple):
    """Shares of all rows with one value, or between two, in the reference and now; None where there is no row."""

    label: str
    reference: float | None
    current: float | None


class Distribution(NamedTuple):
    """What is drawn of a column.

    Attributes:
        edges: Of the bars on a number's axis, one more than there are bars; empty for a category and a constant.
        bars: What is between two edges; of a category, each value.
        outside: What has no place on the axis: missing, out of range, unseen.
    """

    edges: tuple[float, ...]
    bars: tuple[Share, ...]
    outside: tuple[Share, ...]


def distribution(column: Column, counts: NDArray[np.int64]) -> Distribution:
    """Returns what to draw of a column.

    Within a bin rows are taken to lie evenly. An outermost bin that is nearly as wide as all others together, as an
    outlier in the reference makes it, is left off the axis and told of beside it.

    Args:
        column: The reference's.
        counts: The current rows, shape ``(bins,)``.
    """
    sides = (np.asarray(column.counts, np.float64), counts.astype(np.float64))
    shares = [side / side.sum() if side.sum() else None for side in sides]
    labels = column.bins.labels()
    ends = [MISSING, STRANGE, len(labels) - 1] if isinstance(column.bins, NumberBins) else [MISSING, STRANGE]
    outside = [_share(labels[at], shares, at) for at in ends]
    if not isinstance(column.bins, NumberBins) or len(column.bins.edges) <= BARS // 10:
        bars = tuple(_share(labels[at], shares, at) for at in range(len(labels)) if at not in ends)
        return Distribution((), bars, tuple(outside))
    edges = np.asarray(column.bins.edges)
    first, last = 0, len(edges) - 1
    if edges[1] - edges[0] > WIDEST * (edges[-1] - edges[1]):
        first = 1
        outside.append(_share(f"{words.number(edges[0])} to {words.number(edges[1])}", shares, STRANGE + 1))
    if edges[-1] - edges[-2] > WIDEST * (edges[-2] - edges[first]):
        last -= 1
        outside.append(_share(f"{words.number(edges[-2])} to {words.number(edges[-1])}", shares, len(labels) - 2))
    grid = np.linspace(edges[first], edges[last], BARS + 1)
    drawn = [None if share is None else np.diff(np.interp(grid, edges, _risen(share))) for share in shares]
    bars = tuple(
        Share(f"{words.number(low)} to {words.number(high)}", *(None if it is None else float(it[at]) for it in drawn))
        for at, (low, high) in enumerate(itertools.pairwise(grid.tolist()))
    )
    return Distribution(tuple(grid.tolist()), bars, tuple(outside))


def _risen(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(share[STRANGE + 1 : -1])])


def _share(label: str, shares: list[NDArray[np.float64] | None], at: int) -> Share:
    return Share(label, *(None if share is None else float(share[at]) for share in shares))
