"""How much a column has changed: sizes that do not grow with the number of rows, beside the evidence, which does.

All are taken over the reference's bins, so that they can be compared over time, and one outlier moves none of them by
more than its own share of the rows: what lies above the reference's highest value counts as being there.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import MISSING, STRANGE, NumberBins
from driftline.drift.layout import Layout
from driftline.drift.profile import Column

GROUPS: Final = 10
"""Groups of a number's bins for PSI and Jensen-Shannon, as is the custom; with all bins noise would swamp them."""
SMALLEST_SHARE: Final = 1e-4
"""A group's share counts as this much at least in PSI, which else would be infinite where one side has no row."""
REPLICATES: Final = 500
TAIL: Final = 0.025
_POWERS: Final = (1, 2, 2, 2, 2)
"""PSI is of the order of a squared distance already."""
_SEED: Final = 20_221


class Effects(NamedTuple):
    """Sizes of the change, each an array with one for each column; NaN where there is nothing to compare.

    Attributes:
        psi: Population stability index, in nats, missing rows being a group of their own. Siddiqi, "Credit Risk
            Scorecards", 2006; it is the symmetrised divergence of Kullback and Leibler (Annals of Mathematical
            Statistics 22, 1951).
        js_distance: Root of the divergence of Jensen and Shannon to the base 2, over the same groups, 0 to 1. Lin,
            "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37 (1991); Endres and
            Schindelin, "A new metric for probability distributions", same journal, 49 (2003).
        distance: Of the values that are there: of a number the statistic of Kolmogorov and Smirnov, of a category
            the total variation, 0 to 1.
        wasserstein_sd: Mean distance by which a number's values would have to be moved, in the reference's standard
            deviations; NaN for a category and for what was constant. Vallender, "Calculation of the Wasserstein
            distance between probability distributions on the line", Theory Probab. Appl. 18 (1974).
        moved: The smallest share of all rows, missing ones too, that must have changed their value: ``distance``
            with missing as the lowest value, or as one of the categories.
    """

    psi: NDArray[np.float64]
    js_distance: NDArray[np.float64]
    distance: NDArray[np.float64]
    wasserstein_sd: NDArray[np.float64]
    moved: NDArray[np.float64]


class Interval(NamedTuple):
    """Where a size lies, with 95 % confidence; NaN where there is nothing to compare."""

    low: float
    high: float


class EffectIntervals(NamedTuple):
    """The interval of each of the sizes in :class:`Effects`."""

    psi: Interval
    js_distance: Interval
    distance: Interval
    wasserstein_sd: Interval
    moved: Interval


class Yardstick:
    """Measures counts against the reference's, all columns at once.

    Args:
        columns: The reference's.
        layout: Of the same columns.
    """

    def __init__(self, columns: Sequence[Column], layout: Layout) -> None:
        self._starts = layout.starts
        self._lengths = np.diff(np.append(layout.starts, layout.size))
        self._reference = np.concatenate([np.asarray(column.counts, dtype=np.float64) for column in columns])
        self._is_number = np.array([isinstance(column.bins, NumberBins) for column in columns])
        self._has_sd = np.array([column.sd > 0 for column in columns])
        self._widths = np.concatenate([_widths(column) for column in columns])
        groups = [_groups(column) for column in columns]
        self._groups = np.concatenate([start + each for start, each in zip(self._starts, groups, strict=True)])
        self._group_starts = np.concatenate([[0], np.cumsum([len(each) for each in groups])[:-1]]).astype(np.intp)

    def measure(self, counts: NDArray[np.int64]) -> Effects:
        """Returns the size of each column's change.

        Args:
            counts: Of any span of rows, by the layout of the columns, shape ``(..., size)``.

        Returns:
            Arrays of shape ``(..., columns)``.
        """
        return self.between(self._reference, counts.astype(np.float64))

    def between(self, reference: NDArray[np.float64], current: NDArray[np.float64]) -> Effects:
        """Returns the sizes of what lies between two vectors of counts over the same bins, as :meth:`measure` does."""
        starts = self._starts
        difference, empty = self._difference(reference, current)
        moved = np.where(self._is_number, *self._distances(np.cumsum(difference, axis=-1), difference))
        held_reference, held_current = reference.copy(), current.copy()
        held_reference[..., starts] = held_current[..., starts] = 0
        difference, unheld = self._difference(held_reference, held_current)
        risen = np.cumsum(difference, axis=-1)
        distance = np.where(self._is_number, *self._distances(risen, difference))
        areas = np.zeros_like(risen)
        areas[..., 1:] = self._widths[1:] * _mean_height(risen[..., :-1], risen[..., 1:])
        wasserstein = np.add.reduceat(areas, starts, axis=-1)
        psi, divergence = self._divergences(reference, current)
        nan = np.nan
        return Effects(
            np.where(empty, nan, psi),
            np.where(empty, nan, np.sqrt(np.maximum(divergence, 0))),
            np.where(unheld, nan, distance),
            np.where(unheld | ~self._has_sd, nan, wasserstein),
            np.where(empty, nan, moved),
        )

    def _difference(
        self, reference: NDArray[np.float64], current: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Returns current less reference shares of each bin, and which columns lack rows on one side (there 0)."""
        before, now = (np.add.reduceat(counts, self._starts, axis=-1) for counts in (reference, current))
        empty = (before == 0) | (now == 0)
        shares = current / np.repeat(np.maximum(now, 1), self._lengths, axis=-1)
        difference = shares - reference / np.repeat(np.maximum(before, 1), self._lengths, axis=-1)
        difference[np.repeat(empty, self._lengths, axis=-1)] = 0
        return difference, empty

    def _distances(
        self, risen: NDArray[np.float64], difference: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns Kolmogorov and Smirnov's distance, and total variation.

        The differences of each column sum to 0, so that they can be summed up through all columns at once.
        """
        return (
            np.maximum.reduceat(np.abs(risen), self._starts, axis=-1),
            np.add.reduceat(np.abs(difference), self._starts, axis=-1) / 2,
        )

    def _divergences(
        self, reference: NDArray[np.float64], current: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the population stability index, and Jensen and Shannon's divergence in bits."""
        p, q = (self._group_shares(counts) for counts in (reference, current))
        mean = np.maximum((p + q) / 2, np.finfo(np.float64).tiny)
        bits = [share * np.log2(np.maximum(share / mean, np.finfo(np.float64).tiny)) for share in (p, q)]
        divergence = np.add.reduceat((bits[0] + bits[1]) / 2, self._group_starts, axis=-1)
        p, q = np.maximum(p, SMALLEST_SHARE), np.maximum(q, SMALLEST_SHARE)
        return np.add.reduceat((q - p) * np.log(q / p), self._group_starts, axis=-1), divergence

    def _group_shares(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        grouped = np.add.reduceat(counts, self._groups, axis=-1)
        rows = np.maximum(np.add.reduceat(grouped, self._group_starts, axis=-1), 1)
        lengths = np.diff(np.append(self._group_starts, len(self._groups)))
        shares: NDArray[np.float64] = grouped / np.repeat(rows, lengths, axis=-1)
        return shares


def _mean_height(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the mean of the absolute value of a line from one height to the other."""
    sizes = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.maximum(2 * sizes, np.finfo(np.float64).tiny)
    height: NDArray[np.float64] = np.where(left * right < 0, crossing, sizes / 2)
    return height


def _widths(column: Column) -> NDArray[np.float64]:
    """Returns how wide each bin is, in standard deviations; 0 where that has no meaning."""
    widths = np.zeros(column.bins.count)
    if isinstance(column.bins, NumberBins) and column.sd > 0:
        widths[STRANGE + 1 : -1] = np.diff(np.asarray(column.bins.edges) / column.sd)
    return widths


def _groups(column: Column) -> NDArray[np.intp]:
    """Returns the first bin of each group: missing, and about ten equal ones of a number; else each bin by itself.

    What is out of range goes with its neighbours: the reference has none of it, by the choice of its edges, and so
    cannot say what its share would be.
    """
    if not isinstance(column.bins, NumberBins):
        return np.arange(column.bins.count)
    held = np.asarray(column.counts[STRANGE:])
    before = np.cumsum(held) - held / 2
    tenths = np.floor(before / max(held.sum(), 1) * GROUPS)
    firsts = STRANGE + np.flatnonzero(np.diff(np.minimum(tenths, GROUPS - 1), prepend=-1))
    return np.concatenate([[MISSING], firsts]).astype(np.intp)


def effect_intervals(column: Column, counts: NDArray[np.int64], factor: float) -> EffectIntervals:
    """Returns where the sizes of a column's change lie, by a bootstrap that errs outward.

    Rows are drawn anew on both sides, as many as count as independent ones; the draws are the same each time. A size of
    what has not changed is not 0 but as large as chance makes it, and drawn rows double that. So the lower limit is
    that of the basic bootstrap, which takes it off, in squares, which unlike distances are smooth about 0; and the
    upper limit is the plain percentile, which leaves it on (Davison and Hinkley, "Bootstrap Methods and their
    Application", 1997, sections 5.2 and 5.3).

    Args:
        column: The reference's.
        counts: Of any span of rows, shape ``(bins,)``.
        factor: How many of the span's rows count as one independent row.
    """
    yardstick = Yardstick([column], Layout([column]))
    observed = yardstick.measure(counts)
    reference = np.asarray(column.counts)
    draw = np.random.default_rng(_SEED)
    drawn = yardstick.between(
        _drawn(draw, reference, column.factor(float(reference.sum()))), _drawn(draw, counts, factor)
    )
    return EffectIntervals(
        *(
            _limits(float(size[0]), sizes[:, 0], power)
            for size, sizes, power in zip(observed, drawn, _POWERS, strict=True)
        )
    )


def _drawn(draw: np.random.Generator, counts: NDArray[np.int64], factor: float) -> NDArray[np.float64]:
    rows = int(counts.sum())
    if rows == 0:
        return np.zeros((REPLICATES, len(counts)))
    return draw.multinomial(max(round(rows / factor), 1), counts / rows, REPLICATES).astype(np.float64)


def _limits(size: float, sizes: NDArray[np.float64], power: int) -> Interval:
    high = max(float(np.quantile(sizes, 1 - TAIL)), size)
    return Interval(max(2 * size**power - high**power, 0.0) ** (1 / power), high)
