"""Defaults of Evidently, NannyML, and the usual PSI, written anew from what their projects publish.

Not the products: they judge whole tables and make pages, and would take hours here; NannyML's wheel does not even load
beside a current SciPy. Their tests compare these with Evidently's own functions, and with the definitions.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chisquare, ks_2samp, norm

from bench_drift.detector import Rows

SMALL_REFERENCE = 1000
FEW_VALUES = 5
LEAST_SD = 0.001
EMPTY_SHARE = 1e-4

Shares = NDArray[np.float64]


class Evidently:
    """Evidently 0.7's choice for a column (``_get_default_stattest``) at its default thresholds.

    References up to 1,000 rows are compared by p < .05: Kolmogorov-Smirnov, or chi-squared for categories, or a z-test
    for two; longer ones by a distance >= .1: Wasserstein over the reference's sd, or Jensen-Shannon for categories.
    Numbers with at most five values are treated as categories. It keeps no state from window to window.
    """

    by_row = False
    forgets = True
    P_VALUE = 0.05
    DISTANCE = 0.1

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        """Keeps the reference; ``window_rows`` is not asked for."""
        del window_rows
        self.reference = np.sort(reference)
        self.values = np.unique(reference)
        self.categorical = categorical
        self.sd = max(float(np.std(reference)), LEAST_SD)
        self.sums = np.concatenate([[0.0], np.cumsum(self.reference)])

    def observe(self, window: Rows) -> int:
        """All rows of the window if it has drifted, else 0."""
        return len(window) if self.has_drifted(window) else 0

    def state_bytes(self) -> int:
        """The reference: the sums beside it only make it quick here."""
        return self.reference.nbytes

    def has_drifted(self, window: Rows) -> bool:
        """Evidently's verdict on the window."""
        values = self.values
        if self.categorical or len(values) <= FEW_VALUES:
            values = np.union1d(values, window)
        small = len(self.reference) <= SMALL_REFERENCE
        if not self.categorical and len(values) > FEW_VALUES:
            if small:
                return bool(ks_2samp(self.reference, window).pvalue <= self.P_VALUE)
            return wasserstein(self.reference, self.sums, window) / self.sd >= self.DISTANCE
        expected, found = (counts(rows, values) for rows in (self.reference, window))
        if not small:
            return bool(jensenshannon(expected, found) >= self.DISTANCE)
        return p_of_counts(expected, found) < self.P_VALUE


class NannyML:
    """NannyML 0.13's default: Jensen-Shannon distance, thresholds at the mean and 3 sd of the reference's chunks.

    Bins are those of ``numpy.histogram_bin_edges(reference, "doane")``, or the categories; what falls outside of them
    has one more. Values below the lower threshold alarm as well. It keeps no state from window to window.
    """

    by_row = False
    forgets = True
    SDS = 3.0

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        """Cuts the reference into chunks of one window and takes the thresholds from them."""
        self.categorical = categorical
        self.bins = np.unique(reference) if categorical else np.histogram_bin_edges(reference, bins="doane")
        self.shares = self.shares_of(reference)
        chunks = [reference[start : start + window_rows] for start in range(0, len(reference), window_rows)]
        distances = np.array([self.distance(chunk) for chunk in chunks])
        spread = self.SDS * float(distances.std())
        self.lower, self.upper = max(0.0, float(distances.mean()) - spread), float(distances.mean()) + spread

    def observe(self, window: Rows) -> int:
        """All rows of the window if its distance is outside of the thresholds, else 0."""
        return 0 if self.lower <= self.distance(window) <= self.upper else len(window)

    def state_bytes(self) -> int:
        """Bins, their shares, and two thresholds."""
        return int(self.bins.nbytes + self.shares.nbytes + 16)

    def distance(self, window: Rows) -> float:
        """The Jensen-Shannon distance, base 2, to the reference."""
        shares, expected = self.shares_of(window), self.shares
        left_over = 1 - shares.sum()
        if left_over > 0:
            shares, expected = np.append(shares, left_over), np.append(expected, 0)
        return float(jensenshannon(expected, shares, base=2))

    def shares_of(self, rows: Rows) -> Shares:
        """The share of the rows in each bin."""
        found = counts(rows, self.bins) if self.categorical else np.histogram(rows, bins=self.bins)[0]
        return np.asarray(found / len(rows))


class Psi:
    """The Population Stability Index over ten quantile bins of the reference, or its categories; alarm from .1 on.

    Values equal to an edge belong below it; a category that the reference lacks has a bin of its own. Shares of nothing
    count as 0.0001. It keeps no state from window to window.
    """

    by_row = False
    forgets = True
    BINS = 10
    THRESHOLD = 0.1

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        """Takes the bins from the reference; ``window_rows`` is not asked for."""
        del window_rows
        self.categorical = categorical
        inner = np.linspace(0, 1, self.BINS + 1)[1:-1]
        self.bins = np.unique(reference if categorical else np.quantile(reference, inner))
        self.shares = self.shares_of(reference)

    def observe(self, window: Rows) -> int:
        """All rows of the window if its index reaches the threshold, else 0."""
        return len(window) if self.index(window) >= self.THRESHOLD else 0

    def state_bytes(self) -> int:
        """Bins and their shares."""
        return int(self.bins.nbytes + self.shares.nbytes)

    def index(self, window: Rows) -> float:
        """The index of the window against the reference, in nats."""
        shares = self.shares_of(window)
        return float(np.sum((shares - self.shares) * np.log(shares / self.shares)))

    def shares_of(self, rows: Rows) -> Shares:
        """The share of the rows in each bin, none of them 0."""
        if self.categorical:
            known = counts(rows, self.bins)
            found = np.append(known, len(rows) - known.sum())
        else:
            found = np.bincount(np.searchsorted(self.bins, rows, side="left"), minlength=len(self.bins) + 1)
        return np.maximum(found / len(rows), EMPTY_SHARE)


def counts(rows: Rows, values: Rows) -> NDArray[np.int64]:
    """How often each of the sorted values stands in the rows."""
    places = np.minimum(np.searchsorted(values, rows), len(values) - 1)
    return np.bincount(places[values[places] == rows], minlength=len(values))


def p_of_counts(expected: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Evidently's p-value of counts: chi-squared against the reference's shares, or a z-test of two shares."""
    n, m = int(expected.sum()), int(found.sum())
    if len(expected) > 2:  # noqa: PLR2004 (two shares)
        with np.errstate(divide="ignore"):  # a value that the reference lacks: p = 0
            return float(chisquare(found, expected * (m / n)).pvalue)
    p, q = expected[-1] / n, found[-1] / m
    both = (expected[-1] + found[-1]) / (n + m)
    spread = np.sqrt(both * (1 - both) * (1 / n + 1 / m))
    return float(2 * (1 - norm.cdf(abs(p - q) / spread))) if spread else 1.0


def wasserstein(reference: Rows, sums: Rows, window: Rows) -> float:
    """The first Wasserstein distance, as SciPy has it, without a pass over the reference.

    Between two neighbours in the window its distribution function is a constant, and the reference's rises through it
    at most once, at one of its quantiles; left and right of there the integral is a difference of prefix sums.

    Args:
        reference: Sorted, n values.
        sums: The sums of its first 0, 1, ..., n values.
        window: In any order, m values.
    """
    n, m = len(reference), len(window)
    rows = np.sort(window)

    def integral(upto: Rows) -> Rows:
        """The integral of the reference's distribution function up to here."""
        below = np.searchsorted(reference, upto, side="right")
        return np.asarray((below * upto - sums[below]) / n)

    level = np.arange(1, m) / m
    crossing = np.clip(reference[np.ceil(level * n - 1e-9).astype(np.int64) - 1], rows[:-1], rows[1:])
    left, middle, right = integral(rows[:-1]), integral(crossing), integral(rows[1:])
    before = level * (crossing - rows[:-1]) - (middle - left)
    after = (right - middle) - level * (rows[1:] - crossing)
    top = max(float(rows[-1]), float(reference[-1]))
    ends = integral(rows[:1])[0] + (top - rows[-1]) - (integral(np.array([top]))[0] - integral(rows[-1:])[0])
    return float(np.abs(before).sum() + np.abs(after).sum() + ends)
