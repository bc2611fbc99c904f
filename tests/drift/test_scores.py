"""Scores of location and spread, and what of the reference's dependence is noticed."""

import numpy as np
import pytest
from scipy.stats import norm

from driftline.drift.bins import MISSING
from driftline.drift.build import Named, build_profile
from driftline.drift.profile import Origin
from driftline.drift.questions import rank_scores


def test_scores_are_means_over_the_bin_of_the_normal_quantile_and_its_square() -> None:
    alphas = np.array([4.0, 1, 15, 30, 7.5, 0.5, 15, 1])
    weights = np.where(np.arange(len(alphas)) == MISSING, 0, alphas)
    weights /= weights.sum()
    upto = np.concatenate([[0], np.cumsum(weights)])
    expected = np.zeros((2, len(alphas)))
    for at in range(1, len(alphas)):
        ranks = np.linspace(upto[at], upto[at + 1], 20_001)[1::2]
        quantiles = norm.ppf(ranks)
        expected[:, at] = quantiles.mean(), (quantiles**2 - 1).mean()
    expected -= (expected @ weights)[:, None]
    expected /= np.sqrt(expected**2 @ weights)[:, None]
    expected[:, MISSING] = 0

    scores = rank_scores(alphas)
    assert np.allclose(scores, expected, atol=1e-3)
    assert np.allclose(scores @ weights, 0)
    assert np.allclose(scores**2 @ weights, 1)


@pytest.mark.parametrize("seed", range(10))
def test_a_row_that_keeps_half_of_the_one_before_is_noticed_in_a_thousand_rows(seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(1100)
    rows = [0.0]
    for value in noise.tolist():
        rows.append(0.5 * rows[-1] + value)

    assert dependence(np.array(rows[-1000:])) > 2
    assert dependence(noise[:1000]) == 1


def dependence(rows: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    profile = build_profile("m", [Named("x", "feature", "number")], {"x": rows}, Origin("file", in_order=True))
    return profile.columns[0].factor(200)
