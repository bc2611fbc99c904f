import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from driftline.quality.interval import CONFIDENCE, around, mean, wilson, within_unit
from driftline.quality.metrics import Quality, quality
from tests.quality.rows import covered, drawn, labelled


def found(seed: int, count: int, bias: float = 0.0) -> Quality:
    return quality(labelled(*drawn(seed, count, bias=bias)))


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_share_has_the_interval_that_scipy_gives_it(hits: int, misses: int) -> None:
    share = wilson(hits, hits + misses)
    if not hits + misses:
        assert share is None
        return
    assert share is not None
    theirs = stats.binomtest(hits, hits + misses).proportion_ci(CONFIDENCE, "wilson")
    assert (share.low, share.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert share.low <= share.value <= share.high


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=50))
def test_a_mean_has_the_variance_of_its_sample(values: list[float]) -> None:
    array = np.array(values)
    interval = mean(array.sum(), (array**2).sum(), len(array))
    assert interval is not None
    reach = stats.norm.ppf((1 + CONFIDENCE) / 2) * array.std(ddof=1) / math.sqrt(len(array))
    assert interval.value == pytest.approx(array.mean(), abs=1e-9)
    assert interval.high - interval.value == pytest.approx(reach, abs=1e-4)


def test_what_is_of_nothing_is_none_and_not_zero() -> None:
    empty = quality(labelled(*drawn(1, 0)))
    assert empty.rows == 0
    assert set(empty[1:]) == {None}
    never = quality(labelled(np.array([0.1, 0.2]), np.array([0, 0]), np.array([0, 0])))
    assert (never.precision, never.recall, never.ranking) == (None, None, None)
    assert never.accuracy is not None
    assert never.accuracy.value == 1
    assert never.accuracy.low < 0.5, "two rows say little"


def test_shares_are_those_of_the_rows() -> None:
    scores, classes, outcomes = drawn(3, 4000)
    result = quality(labelled(scores, classes, outcomes))
    assert result.accuracy is not None
    assert result.precision is not None
    assert result.recall is not None
    assert result.positives is not None
    assert result.accuracy.value == (classes == outcomes).mean()
    assert result.precision.value == outcomes[classes == 1].mean()
    assert result.recall.value == classes[outcomes == 1].mean()
    assert result.positives.value == outcomes.mean()


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "log_loss", "brier"])
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    truth = getattr(found(0, 2_000_000), name).value
    share = covered([getattr(found(seed, 500), name) for seed in range(1, 601)], truth)
    assert 0.92 < share < 0.98  # 95 in a hundred; four standard deviations of 600 draws


def test_an_interval_of_a_share_stays_within_the_possible() -> None:
    for value, deviation in ((0.999, 0.1), (0.001, 0.1), (1.0, 0.0), (0.0, 0.0), (1.0, 0.1)):
        interval = within_unit(value, deviation, 20)
        assert 0 <= interval.low <= value <= interval.high <= 1
        assert interval.low < interval.high
    assert around(0.9, 1.0, 0.0, 1.0) == (0.9, 0.0, 1.0)
