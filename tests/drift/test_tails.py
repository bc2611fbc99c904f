"""The tails are those of scipy and of exact sums, far below what simulation could see."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln

from driftline.drift.tails import log_beta_binomial_tail, log_normal_tail, log_score_tail


@given(st.integers(1, 3_000), st.floats(0, 1), st.floats(0.5, 500), st.floats(0.5, 5_000))
def test_one_bin_has_the_tail_of_scipys_beta_binomial(rows: int, part: float, alpha: float, beta: float) -> None:
    count = round(part * rows)
    k = np.arange(count, rows + 1)
    exact = np.logaddexp.reduce(stats.betabinom(rows, alpha, beta).logpmf(k))
    assert log_beta_binomial_tail(count, rows, alpha, beta) == pytest.approx(min(exact, 0), abs=1e-6, rel=1e-7)


@given(st.integers(1, 500), st.floats(1, 9), st.floats(0.5, 100), st.floats(0.5, 100))
def test_more_rows_in_a_bin_are_never_likelier(whole: int, factor: float, alpha: float, beta: float) -> None:
    rows, alpha, beta = whole / factor, alpha / factor, beta / factor  # as rows that count as fewer are
    tails = [log_beta_binomial_tail(rows * part, rows, alpha, beta) for part in np.linspace(0, 1, 12)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(tails))
    assert max(tails) <= 0


def exact_tails(rows: int, alphas: NDArray[np.float64], scores: NDArray[np.int64]) -> dict[int, float]:
    """Log of the chance of each sum or more: the counts of bin after bin, convolved by rows and sum."""
    lowest = int(scores.min()) * rows
    width = rows * int(np.ptp(scores)) + 1
    chances = np.zeros((rows + 1, width))
    chances[0, -lowest] = 1
    for alpha, score in zip(alphas, scores.tolist(), strict=True):
        weights = np.exp([gammaln(c + alpha) - gammaln(c + 1) - gammaln(alpha) for c in range(rows + 1)])
        then = np.zeros_like(chances)
        for c, weight in enumerate(weights):
            then[c:] += weight * np.roll(chances[: rows + 1 - c], c * score, axis=1)
        chances = then
    last = chances[rows] / chances[rows].sum()
    with np.errstate(divide="ignore"):
        return {lowest + at: float(tail) for at, tail in enumerate(np.log(np.cumsum(last[::-1])[::-1]))}


@pytest.mark.parametrize("rows", [25, 60])
@pytest.mark.parametrize(
    "alphas", [[25.0] * 8, [1, 3, 3, 3, 3, 3, 3, 1], [1, 40, 5, 30, 20, 2, 60, 1], [200.0] * 8], ids=str
)
def test_a_weighted_sum_has_the_tail_of_the_exact_convolution(alphas: list[float], rows: int) -> None:
    weights = np.asarray(alphas, dtype=np.float64)
    scores = np.array([-7, -5, -3, -1, 1, 3, 5, 7])
    looked_at = 0
    for total, exact in exact_tails(rows, weights, scores).items():
        if not math.log(1e-11) < exact < math.log(0.05) or total % 2 != rows % 2:
            continue
        # The sum moves in steps of 2, the saddlepoint knows of none: the middle of a step is what it speaks of.
        found = log_score_tail(total - 1, rows, weights, scores.astype(np.float64), upper=True)
        mirrored = log_score_tail(1 - total, rows, weights, -scores.astype(np.float64), upper=False)
        assert found == pytest.approx(exact, abs=0.1, rel=0.01)
        assert mirrored == pytest.approx(found)
        looked_at += 1
    assert looked_at > 10


@given(st.integers(0, 2**32 - 1))
def test_a_sum_farther_out_is_never_likelier(seed: int) -> None:
    draw = np.random.default_rng(seed)
    alphas, scores = draw.gamma(2, 10, 12) + 0.5, np.sort(draw.normal(size=12))
    mean = float(alphas @ scores) / alphas.sum()
    totals = 300 * np.linspace(mean, scores.max(), 15)
    tails = [log_score_tail(float(total), 300, alphas, scores, upper=True) for total in totals]
    assert all(math.isfinite(tail) and tail <= 0 for tail in tails)
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(tails[1:]))


@pytest.mark.parametrize("z", [-3.0, 0.0, 5.0, 29.9, 30.1, 200.0])
def test_the_normal_tail_is_scipys(z: float) -> None:
    assert log_normal_tail(z) == pytest.approx(stats.norm.logsf(z), rel=1e-4)
