import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.quality.interval import Interval
from driftline.quality.ranking import hanley_mcneil, rank
from driftline.quality.tally import BINS, EDGES
from tests.quality.rows import drawn, labelled, plain_auc

some = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=2, max_size=60)


@given(some)
def test_binning_moves_the_auc_by_no_more_than_is_said(rows: list[tuple[float, int]]) -> None:
    scores, outcomes = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    counted = labelled(scores, outcomes * 0, outcomes)
    ranking = rank(counted.negatives, counted.positives)
    if outcomes.min() == outcomes.max():
        assert ranking is None
        return
    assert ranking is not None
    assert abs(ranking.auc.value - plain_auc(scores, outcomes)) <= ranking.blurred + 1e-12
    assert ranking.auc.low <= ranking.auc.value <= ranking.auc.high


@given(st.lists(st.tuples(st.sampled_from(EDGES[::7].tolist()), st.integers(0, 1)), min_size=2, max_size=60))
def test_scores_that_are_equal_in_their_bins_are_ranked_exactly(rows: list[tuple[float, int]]) -> None:
    scores, outcomes = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    counted = labelled(scores, outcomes * 0, outcomes)
    ranking = rank(counted.negatives, counted.positives)
    if ranking is not None:
        assert ranking.auc.value == pytest.approx(plain_auc(scores, outcomes), abs=1e-12)


def test_of_smooth_scores_it_is_blurred_by_far_less() -> None:
    scores, classes, outcomes = drawn(2, 4000)
    counted = labelled(scores, classes, outcomes)
    ranking = rank(counted.negatives, counted.positives)
    assert ranking is not None
    assert ranking.blurred < 0.005
    assert ranking.auc.value == pytest.approx(plain_auc(scores, outcomes), abs=1e-4)


def test_the_variance_is_delongs_over_all_pairs() -> None:
    scores, _, outcomes = drawn(4, 300)
    scores = np.round(scores, 2)  # so that bins blur nothing
    counted = labelled(scores, outcomes * 0, outcomes)
    ranking = rank(counted.negatives, counted.positives)
    assert ranking is not None
    positives, negatives = scores[outcomes == 1], scores[outcomes == 0]
    kernel = (positives[:, None] > negatives) + (positives[:, None] == negatives) / 2
    variance = kernel.mean(1).var(ddof=1) / len(positives) + kernel.mean(0).var(ddof=1) / len(negatives)
    auc = kernel.mean()
    reach = 1.959963984540054 * np.sqrt(variance) / (auc * (1 - auc))
    low, high = (1 / (1 + np.exp(-(np.log(auc / (1 - auc)) + side * reach))) for side in (-1, 1))
    assert ranking.auc == pytest.approx((auc, low, high), abs=1e-9)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    def ranked(seed: int, count: int) -> Interval:
        counted = labelled(*drawn(seed, count))
        ranking = rank(counted.negatives, counted.positives)
        assert ranking is not None
        return ranking.auc

    truth = ranked(0, 2_000_000).value
    held = [truth in ranked(seed, 200) for seed in range(1, 601)]
    assert 0.92 < sum(held) / 600 < 0.98


def test_a_perfect_ranking_of_few_is_not_certain() -> None:
    negatives, positives = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    negatives[3], positives[90] = 5, 4
    ranking = rank(negatives, positives)
    assert ranking is not None
    assert (ranking.auc.value, ranking.auc.high, ranking.blurred) == (1.0, 1.0, 0.0)
    assert ranking.auc.low < 0.6
    positives[90] = 1
    alone = rank(negatives, positives)
    assert alone is not None
    assert alone.auc.low < 0.3


def test_the_guess_from_three_numbers_is_hanley_and_mcneils() -> None:
    # Their example: an area of 0.893 from 58 normal and 51 abnormal cases has a standard error of 0.032.
    assert np.sqrt(hanley_mcneil(0.893, 58, 51)) == pytest.approx(0.032, abs=0.001)
