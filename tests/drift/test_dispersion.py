"""Dependence between rows is found where it is, at the size of block where it is, and not elsewhere."""

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.drift.build import Named, build_profile
from driftline.drift.dispersion import FIRST_BLOCK_ROWS, MOST_BLOCKS, BlockSums
from driftline.drift.profile import Column, Origin
from tests.drift.series import autoregressive


def profiled(values: NDArray[np.float64], *, in_order: bool = True) -> Column:
    return build_profile(
        "m", [Named("a", "feature", "number")], {"a": values}, Origin("file", in_order=in_order)
    ).columns[0]


@pytest.mark.parametrize("seed", range(20))
def test_independent_rows_are_as_good_as_independent(seed: int) -> None:
    assert profiled(np.random.default_rng(seed).normal(size=20_000)).dispersion == ()


@pytest.mark.parametrize("phi", [0.3, 0.6])
def test_an_autoregressive_column_counts_as_fewer_rows(phi: float) -> None:
    column = profiled(autoregressive(np.random.default_rng(1), 100_000, phi))
    expected = (1 + phi) / (1 - phi)
    assert expected * 0.9 < column.factor(400) < expected * 1.5
    assert profiled(autoregressive(np.random.default_rng(1), 10_000, phi), in_order=False).dispersion == ()


def test_a_cycle_is_large_at_half_of_its_period_and_nothing_at_whole_ones() -> None:
    draw = np.random.default_rng(2)
    period = 1_280  # ten rows, doubled again and again
    values = draw.normal(size=128_000) + np.sin(np.arange(128_000) * 2 * np.pi / period)
    factors = {it.rows: it.factor for it in profiled(values).dispersion}
    assert factors[period // 2] > 50
    assert factors[period] < 2
    assert factors[2 * period] < 2


def test_blocks_are_joined_in_pairs_and_lose_nothing() -> None:
    draw = np.random.default_rng(3)
    rows = draw.normal(size=(3 * MOST_BLOCKS, 2))
    at_once, in_parts = BlockSums(2), BlockSums(2)
    at_once.add(rows)
    for begin in range(0, len(rows), 777):
        in_parts.add(rows[begin : begin + 777])

    for sums in (at_once, in_parts):
        whole = len(sums.blocks()) * sums.rows // FIRST_BLOCK_ROWS
        assert len(sums.blocks()) < MOST_BLOCKS
        assert sums.blocks().sum(axis=0) == pytest.approx(rows[:whole].sum(axis=0), abs=1e-9)
