"""What is asked of each column's counts, and how the risk of a false alarm is shared out among the questions.

A number is asked whether it has moved (van der Waerden's scores), spread or drawn together (Klotz's), whether one value
or one bin has gained or a value that many rows share has lost rows, and whether more are missing or out of range than
before; a category, which of its values has gained or lost, and whether there are new ones.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import MISSING, STRANGE, CategoryBins, NumberBins
from driftline.drift.layout import Layout
from driftline.drift.profile import Column

Question = Literal["location", "spread", "bin", "missing", "below", "above", "unseen"]

LOCATION: Final = 0.6
SPREAD: Final = 0.15
BINS: Final = 0.1
OUTER: Final = 0.05
"""For each of missing, below and above; together the shares are 1."""
_NORMAL: Final = NormalDist()
FEWEST_FOR_SCORES: Final = 8
"""Bins that a number must have before its ranks say more than the bins themselves."""


class Questions:
    """The questions to some columns.

    Args:
        columns: The reference's.
        layout: Of the same columns.

    Attributes:
        alphas: Pseudo-rows of each bin, shape ``(size,)``.
        shares: The same as shares of their column, shape ``(size,)``.
        masses: Pseudo-rows of each column, shape ``(columns,)``.
        others: Rows in all other bins of the column, shape ``(size,)``; what no row was ever in does not count here,
            or else a bin that had every row would be said to gain.
        more: Share of the risk for "has this bin gained rows?", shape ``(size,)``.
        less: Share of the risk for "has it lost rows?", shape ``(size,)``; 0 is not asked.
        scores: Of location and of spread, shape ``(2, size)``, each of mean 0 and variance 1 over the reference.
        asked: Share of the risk for each side of each score, shape ``(2, columns)``; 0 is not asked.
    """

    def __init__(self, columns: Sequence[Column], layout: Layout) -> None:
        self.columns = tuple(columns)
        self.layout = layout
        per_column = [column.alphas() for column in columns]
        self.alphas = np.concatenate(per_column)
        self.masses = np.array([column.mass() for column in columns])
        self.shares = np.concatenate([each / mass for each, mass in zip(per_column, self.masses, strict=True)])
        rows = np.repeat([sum(column.counts) for column in columns], [len(each) for each in per_column])
        self.others = np.maximum(rows - self.alphas, 0)
        weights = [_bin_weights(column) for column in columns]
        self.more = np.concatenate([more for more, _ in weights])
        self.less = np.concatenate([less for _, less in weights])
        self.scores = np.concatenate([rank_scores(alphas) for alphas in per_column], axis=1)
        self.asked = np.array([[LOCATION / 2], [SPREAD / 2]]) * np.array([_has_scores(column) for column in columns])

    def name(self, bin_index: int) -> tuple[int, Question, str]:
        """Returns which column a bin of the vector belongs to, what is asked of it, and what it is called."""
        at = int(np.searchsorted(self.layout.starts, bin_index, side="right")) - 1
        local = bin_index - int(self.layout.starts[at])
        bins = self.columns[at].bins
        label = bins.labels()[local]
        if local == MISSING:
            return at, "missing", label
        if local == STRANGE:
            return at, "below" if isinstance(bins, NumberBins) else "unseen", label
        if isinstance(bins, NumberBins) and local == bins.count - 1:
            return at, "above", label
        return at, "bin", label


def rank_scores(alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the scores of location and spread of each bin of one column, shape ``(2, bins)``; 0 for missing.

    They are the normal quantile of the rank and its square, averaged over the bin and standardised over the reference:
    van der Waerden's scores, which no law of the values makes less efficient than the mean (Chernoff and Savage,
    "Asymptotic normality and efficiency of certain nonparametric test statistics", Annals of Mathematical Statistics
    29, 1958), and Klotz's, as efficient as the variance on normal values ("Nonparametric tests for scale", 33, 1962).
    """
    held = alphas.copy()
    held[MISSING] = 0
    weights = held / max(held.sum(), 1e-300)
    inner = np.cumsum(weights)[:-1]
    quantiles = np.array([_NORMAL.inv_cdf(rank) if 0 < rank < 1 else 0.0 for rank in inner.tolist()])
    heights = np.where((inner > 0) & (inner < 1), np.exp(-(quantiles**2) / 2) / np.sqrt(2 * np.pi), 0)
    # The integrals of z and of z squared less 1 over the normal density are -density and -z times density.
    falls = np.stack([-np.diff(edges, prepend=0, append=0) for edges in (heights, quantiles * heights)])
    scores = falls / np.where(weights > 0, weights, 1)
    scores -= (scores @ weights)[:, None]
    deviations = np.sqrt(scores**2 @ weights)
    scores /= np.where(deviations > 0, deviations, 1)[:, None]
    scores[:, weights == 0] = 0
    return scores


def _has_scores(column: Column) -> bool:
    return isinstance(column.bins, NumberBins) and sum(map(bool, column.counts[STRANGE:])) >= FEWEST_FOR_SCORES


def _bin_weights(column: Column) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    counts = np.asarray(column.counts)
    more, less = np.zeros(len(counts)), np.zeros(len(counts))
    inner = slice(STRANGE + 1, len(counts) - isinstance(column.bins, NumberBins))
    outer = [MISSING, STRANGE] if isinstance(column.bins, CategoryBins) else [MISSING, STRANGE, len(counts) - 1]
    more[outer] = OUTER
    values = counts[inner].size
    share = (1 - OUTER * len(outer) - (LOCATION + SPREAD) * _has_scores(column)) / max(values, 1)
    loses = np.zeros(values, dtype=bool)
    if isinstance(column.bins, CategoryBins):
        loses[:] = True
    else:
        loses[[atom - inner.start for atom in column.bins.atoms]] = True
    if values == 2 and loses.all():  # noqa: PLR2004 - what one has lost the other has gained
        more[inner.start], less[inner.start] = share, share
    else:
        more[inner] = np.where(loses, share / 2, share)
        less[inner] = np.where(loses, share / 2, 0)
    if counts[MISSING]:
        more[MISSING] = less[MISSING] = OUTER / 2
    return more, less
