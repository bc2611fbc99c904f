"""The distributions of a column side by side, in few enough bins for people."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import MISSING, STRANGE, CategoryBins, NumberBins
from driftline.drift.profile import Column

GROUPS: Final = 12


class Histogram(NamedTuple):
    """Shares of the rows, of the reference and now, for the same bins; each sums to 1.

    Attributes:
        labels: What each bin is called.
        reference: Shares of the reference.
        current: Shares now.
    """

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


def histogram(column: Column, counts: NDArray[np.int64], groups: int = GROUPS) -> Histogram:
    """Returns both distributions over the bins, neighbours being joined where there are many.

    Bins in which no row is on either side are left out.

    Args:
        column: The reference's.
        counts: Of any span of rows, shape ``(bins,)``.
        groups: Bins that there may be beside missing, and those out of range.
    """
    starts, labels = _joined(column, groups)
    reference = np.add.reduceat(np.asarray(column.counts), starts)
    current = np.add.reduceat(counts, starts)
    held = np.flatnonzero(reference + current)
    return Histogram(
        tuple(labels[at] for at in held),
        tuple((reference[held] / max(reference.sum(), 1)).tolist()),
        tuple((current[held] / max(current.sum(), 1)).tolist()),
    )


def _joined(column: Column, groups: int) -> tuple[NDArray[np.intp], list[str]]:
    bins, labels = column.bins, column.bins.labels()
    inner = np.arange(STRANGE + 1, bins.count - isinstance(bins, NumberBins))
    if isinstance(bins, CategoryBins) or len(inner) <= groups:
        return np.arange(bins.count), labels
    held = np.asarray(column.counts)[inner]
    rank = np.floor((np.cumsum(held) - held / 2) / max(held.sum(), 1) * groups)
    firsts = inner[np.flatnonzero(np.diff(rank, prepend=-1))]
    lasts = [*(firsts[1:] - 1).tolist(), int(inner[-1])]
    names = [
        labels[first] if first == last else f"{bins.edges[first - 2]:.6g} to {bins.edges[last - 1]:.6g}"
        for first, last in zip(firsts.tolist(), lasts, strict=True)
    ]
    starts = np.concatenate([[MISSING, STRANGE], firsts, [bins.count - 1]])
    return starts.astype(np.intp), [labels[MISSING], labels[STRANGE], *names, labels[-1]]
