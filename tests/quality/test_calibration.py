import numpy as np
import pytest

from driftline.quality.calibration import GROUPS, Calibration, calibration
from tests.quality.rows import drawn, labelled


def of(seed: int, count: int, bias: float = 0.0) -> Calibration:
    found = calibration(labelled(*drawn(seed, count, bias=bias)))
    assert found is not None
    return found


def test_the_error_is_that_of_tenths_of_the_rows() -> None:
    scores, classes, outcomes = drawn(1, 3000, bias=0.4)
    groups = np.minimum((scores * 10).astype(int), 9)
    expected = sum(
        (groups == group).mean() * abs(outcomes[groups == group].mean() - scores[groups == group].mean())
        for group in range(10)
    )
    found = calibration(labelled(scores, classes, outcomes))
    assert found is not None
    assert found.error.value == pytest.approx(expected, abs=1e-9)
    assert found.gap.value == pytest.approx((outcomes - scores).mean(), abs=1e-9)
    for group, point in enumerate(found.curve):
        own = groups == group
        assert (point.rows, point.score, point.share.value) == pytest.approx(
            (own.sum(), scores[own].mean(), outcomes[own].mean())
        )


def test_groups_begin_at_whole_tenths() -> None:
    scores = np.arange(GROUPS) / GROUPS
    found = calibration(labelled(scores, np.zeros(10, np.int64), np.zeros(10, np.int64)))
    assert found is not None
    assert [point.score for point in found.curve] == pytest.approx(scores.tolist())


def test_the_curve_leaves_out_what_has_no_rows() -> None:
    found = calibration(labelled(np.array([0.05, 0.95]), np.array([0, 1]), np.array([0, 1])))
    assert found is not None
    assert [point.rows for point in found.curve] == [1, 1]
    assert calibration(labelled(*drawn(1, 0))) is None


def test_a_calibrated_model_has_the_error_that_comes_by_chance_and_its_interval_reaches_zero() -> None:
    found = [of(seed, 400) for seed in range(400)]
    assert np.mean([each.error.value for each in found]) == pytest.approx(
        np.mean([each.by_chance for each in found]), rel=0.1
    )
    assert np.mean([each.error.low == 0 for each in found]) > 0.95
    assert 0.92 < np.mean([0.0 in each.gap for each in found]) < 0.98


@pytest.mark.parametrize("bias", [0.3, 0.6, 1.0])
def test_the_interval_of_the_error_holds_the_truth_at_least_as_often_as_it_says(bias: float) -> None:
    truth = of(0, 2_000_000, bias).error.value
    assert truth > 0.03
    assert np.mean([truth in of(seed, 600, bias).error for seed in range(1, 401)]) > 0.93


def test_a_model_that_is_off_is_found_out() -> None:
    found = of(1, 2000, bias=0.8)
    assert found.error.low > found.by_chance
    assert found.gap.low > 0
