"""The bins of a column: cut once, on the reference, and never again, so that counts of any two spans add up.

The edges of a number's bins are order statistics of the reference. For rows that are exchangeable with the reference's
the probabilities of such bins are Dirichlet distributed with the gaps between the ranks as parameters, whatever the
distribution of the values (Wilks, "Determination of sample sizes for setting tolerance limits", 1941; David and
Nagaraja, "Order Statistics", 2003, section 2.1). So the counts of a window follow a Dirichlet-multinomial law in which
nothing is unknown. A value that many rows share has a bin of its own; for it, and for categories, the law holds with
the rows counted as parameters, which is approximate.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

FINEST: Final = 64
"""Quantile bins of a number; within 0.0002 of the exact KS and Wasserstein statistics."""
ROWS_A_BIN: Final = 15
FEWEST: Final = 8
MOST_CATEGORIES: Final = 200

MISSING: Final = 0
"""The bin of rows without a value, in every column."""
STRANGE: Final = 1
"""The bin of values below the reference's lowest; of a category, of values that the reference has not."""


class NumberBins(msgspec.Struct, frozen=True, tag="number", tag_field="kind"):
    """The bins of a number: missing, below, one between each two edges, above.

    Attributes:
        edges: Rising; bin ``2 + i`` holds ``edges[i] < value <= edges[i + 1]``. The first lies just below the lowest
            value of the reference, the last is its highest.
        atoms: Indexes of the bins that hold one value only, which many rows of the reference share.
    """

    edges: tuple[float, ...]
    atoms: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many bins there are."""
        return len(self.edges) + 2

    def codes(self, values: NDArray[np.float64]) -> NDArray[np.intp]:
        """Returns the bin of each value; NaN is missing.

        Args:
            values: Shape ``(rows,)``.
        """
        codes = np.searchsorted(np.asarray(self.edges), values, side="left") + 1
        codes[np.isnan(values)] = MISSING
        return codes

    def labels(self) -> list[str]:
        """Returns what each bin is called."""
        inner = [
            f"{high:.6g}" if index + 2 in self.atoms else f"{low:.6g} to {high:.6g}"
            for index, (low, high) in enumerate(zip(self.edges, self.edges[1:], strict=False))
        ]
        return ["missing", f"below {self.edges[0]:.6g}", *inner, f"above {self.edges[-1]:.6g}"]


class CategoryBins(msgspec.Struct, frozen=True, tag="category", tag_field="kind"):
    """The bins of a category: missing, unseen, one for each value, and one for the rest of a great many values.

    Attributes:
        values: As text, the most frequent first.
        rest: Whether the reference has further values, which share the last bin; they are then not told from values
            that it has not.
    """

    values: tuple[str, ...]
    rest: bool = False

    @property
    def count(self) -> int:
        """How many bins there are."""
        return len(self.values) + 2

    def coded(self, values: Sequence[object]) -> NDArray[np.intp]:
        """Returns the bin of each value; None is missing."""
        index = self.index()
        return np.fromiter((index.get(value, STRANGE) for value in values), np.intp, len(values))

    def index(self) -> Mapping[object, int]:
        """Returns the bin of each value that has one, and of None."""
        return {None: MISSING, **{value: 2 + at for at, value in enumerate(self.values)}}

    def labels(self) -> list[str]:
        """Returns what each bin is called."""
        return ["missing", "other values" if self.rest else "unseen", *self.values]


Bins = NumberBins | CategoryBins
Kind = Literal["number", "category"]


def number_bins(values: NDArray[np.float64]) -> NumberBins:
    """Returns bins cut at order statistics of a sample of the reference, about equally many rows in each.

    The outermost are halved again and again: a tail is long, and where in it the rows are says how far they moved.

    Args:
        values: Shape ``(rows,)``, in any order; NaN is missing, and infinite ones are out of range. Without a
            finite value there is one edge, at 0.
    """
    held = np.sort(values[np.isfinite(values)])
    n = len(held)
    if n == 0:
        return NumberBins((0.0,))
    bins = max(FEWEST, min(FINEST, n // ROWS_A_BIN))
    evenly = np.arange(1, bins) * (n + 1) / bins
    halves = (n + 1) / bins / 2 ** np.arange(1, 64)
    tails = halves[halves >= ROWS_A_BIN]
    ranks = np.unique(np.clip(np.rint(np.concatenate([evenly, tails, n + 1 - tails])).astype(int), 1, n))
    distinct, held_by = np.unique(held, return_counts=True)
    shared = distinct[(held_by > 1) & (held_by * 2 * bins >= n)]
    with np.errstate(over="ignore"):  # there is nothing below the lowest float
        lowest = max(np.nextafter(held[0], -np.inf), -np.finfo(np.float64).max)
        below = np.maximum(np.nextafter(shared, -np.inf), -np.finfo(np.float64).max)
    edges = np.unique(np.concatenate([[lowest, held[-1]], held[ranks - 1], shared, below]))
    atoms = 1 + np.searchsorted(edges, shared, side="left")
    return NumberBins(tuple(edges.tolist()), tuple(atoms.tolist()))


def category_bins(counts: Mapping[str, int]) -> CategoryBins:
    """Returns a bin for each value of the reference, and one for the rest where there are too many of them.

    Args:
        counts: Rows by value.
    """
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    return CategoryBins(tuple(ordered[:MOST_CATEGORIES]), rest=len(ordered) > MOST_CATEGORIES)
