"""How dependent consecutive rows are: what the guarantee of the detectors rests on, measured on the reference.

Blocks of consecutive rows are compared with what independent rows would give: the variance of their means, times
their rows, over the variance of a row ("variance inflation", the integrated autocorrelation time). It is asked at each
size of a block by itself, for a daily cycle inflates that of an hour a hundredfold and that of whole days not at all.
"""

from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.drift.profile import Dispersion

FIRST_BLOCK_ROWS: Final = 50
FEWEST_BLOCKS: Final = 8
MOST_BLOCKS: Final = 4096
ALARMING: Final = 1e-4
"""Chance that independent rows are taken for dependent ones."""
CONFIDENCE: Final = 0.95


class BlockSums:
    """Sums of scores over consecutive blocks of rows, in constant memory: when there are too many, pairs are joined.

    Args:
        scores: How many scores there are.
    """

    def __init__(self, scores: int) -> None:
        self.rows = FIRST_BLOCK_ROWS
        self._sums: list[NDArray[np.float64]] = []
        self._joining: NDArray[np.float64] | None = None
        self._joined = 0
        self._scores = scores

    def add(self, sums: NDArray[np.float64]) -> None:
        """Takes the sums of the next :data:`FIRST_BLOCK_ROWS` rows, shape ``(scores,)``."""
        self._joining = sums if self._joining is None else self._joining + sums
        self._joined += FIRST_BLOCK_ROWS
        if self._joined < self.rows:
            return
        self._sums.append(self._joining)
        self._joining, self._joined = None, 0
        if len(self._sums) >= MOST_BLOCKS:
            self._sums = [one + other for one, other in zip(self._sums[::2], self._sums[1::2], strict=True)]
            self.rows *= 2

    def blocks(self) -> NDArray[np.float64]:
        """Returns the sums, shape ``(blocks, scores)``."""
        return np.asarray(self._sums).reshape(-1, self._scores)


def dispersions(blocks: NDArray[np.float64], block_rows: int, variances: NDArray[np.float64]) -> tuple[Dispersion, ...]:
    """Returns how much the means of blocks vary, by their size; nothing where rows are as good as independent.

    Args:
        blocks: Sums of the scores of one column over consecutive blocks, shape ``(blocks, scores)``.
        block_rows: Rows in a block.
        variances: Of each score over single rows, shape ``(scores,)``; those of 0 are not looked at.
    """
    blocks, variances = blocks[:, variances > 0], variances[variances > 0]
    found: list[tuple[int, float, int]] = []
    rows = block_rows
    while len(blocks) >= FEWEST_BLOCKS and len(variances):
        ratio = float((blocks.var(axis=0, ddof=1) / (rows * variances)).max())
        found.append((rows, ratio, len(blocks) - 1))
        paired = blocks[: len(blocks) // 2 * 2]
        blocks, rows = paired[::2] + paired[1::2], 2 * rows
    tests = max(len(found) * len(variances), 1)
    if not any(ratio > _chi_squared(freedom, 1 - ALARMING / tests) / freedom for _, ratio, freedom in found):
        return ()
    return tuple(
        Dispersion(rows, max(1.0, round(ratio * freedom / _chi_squared(freedom, 1 - CONFIDENCE), 3)))
        for rows, ratio, freedom in found
    )


def _chi_squared(freedom: int, probability: float) -> float:
    """Returns a quantile, by Wilson and Hilferty's approximation (PNAS 17, 1931)."""
    part = 2 / (9 * freedom)
    return float(freedom * max(1 - part + NormalDist().inv_cdf(probability) * part**0.5, 1e-3) ** 3)
