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

FIRST_BLOCK_ROWS: Final = 10
FEWEST_BLOCKS: Final = 8
MOST_BLOCKS: Final = 4096
ALARMING: Final = 1e-4
"""Chance that independent rows are taken for dependent ones."""
CONFIDENCE: Final = 0.95


class BlockSums:
    """Sums of scores over consecutive blocks of rows, in constant memory: when there are too many, pairs are joined.

    Args:
        scores: How many scores there are.

    Attributes:
        rows: Rows in a block now.
    """

    def __init__(self, scores: int) -> None:
        self.rows = FIRST_BLOCK_ROWS
        self._blocks = np.empty((0, scores))
        self._begun = np.empty((0, scores))

    def add(self, sums: NDArray[np.float64]) -> None:
        """Takes the sums of the next blocks of :data:`FIRST_BLOCK_ROWS` rows, shape ``(blocks, scores)``."""
        waiting = np.concatenate([self._begun, sums])
        parts = self.rows // FIRST_BLOCK_ROWS
        whole = len(waiting) // parts * parts
        self._begun = waiting[whole:]
        joined = waiting[:whole].reshape(-1, parts, waiting.shape[1]).sum(axis=1)
        self._blocks = np.concatenate([self._blocks, joined])
        while len(self._blocks) >= MOST_BLOCKS:
            even = len(self._blocks) // 2 * 2
            odd = self._blocks[even:]
            self._blocks = self._blocks[:even:2] + self._blocks[1:even:2]
            if len(odd):  # half of a block now: its parts are no longer known apart, so it goes on as one sum
                self._begun = np.concatenate([_as_parts(odd, self.rows // FIRST_BLOCK_ROWS), self._begun])
            self.rows *= 2

    def blocks(self) -> NDArray[np.float64]:
        """Returns the sums of whole blocks, shape ``(blocks, scores)``."""
        return self._blocks


def _as_parts(block: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Returns sums that add up to one block's, as many as it has parts."""
    return np.repeat(block / parts, parts, axis=0)


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
