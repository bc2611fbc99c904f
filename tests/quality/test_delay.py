import numpy as np
import pytest

from driftline.quality.delay import DAY_US, DELAYS, MATURITIES_US, MINUTE_US, Cohort, delay_bins, known_by, label_delays


def cohort(age_us: int, rows: int, *delays_us: int) -> Cohort:
    return Cohort(age_us, rows, np.bincount(delay_bins(np.array(delays_us, np.int64)), minlength=DELAYS))


def test_a_delay_is_in_the_bin_of_the_first_age_that_it_does_not_exceed() -> None:
    ages = np.array(MATURITIES_US)
    assert (delay_bins(ages) == np.arange(len(ages))).all()
    assert (delay_bins(ages + 1) == np.arange(len(ages)) + 1).all()
    assert delay_bins(np.array([-5, 0])).tolist() == [0, 0]


def test_the_curve_is_the_share_of_those_that_are_old_enough() -> None:
    old = cohort(10 * DAY_US, 100, *[MINUTE_US] * 20, *[2 * DAY_US] * 30, *[9 * DAY_US] * 10)
    young = cohort(DAY_US, 50, *[MINUTE_US] * 40)
    curve = {point.age_us: point for point in label_delays([old, young])}
    assert (curve[MINUTE_US].rows, curve[MINUTE_US].share.value) == (150, 60 / 150)
    assert (curve[2 * DAY_US].rows, curve[2 * DAY_US].share.value) == (100, 0.5)
    assert curve[10 * DAY_US].share.value == 0.6
    assert max(curve) == 10 * DAY_US, "nothing is said of ages that nobody has reached"
    assert curve[MINUTE_US].share.low < 0.4 < curve[MINUTE_US].share.high


def test_without_predictions_there_is_no_curve() -> None:
    assert label_delays([]) == []
    assert label_delays([cohort(DAY_US, 0)]) == []


def test_what_was_known_at_an_age_leaves_out_what_came_later() -> None:
    by_delay = np.zeros((DELAYS, 2), np.int64)
    by_delay[0], by_delay[MATURITIES_US.index(DAY_US)], by_delay[-1] = (1, 2), (10, 20), (100, 200)
    assert known_by(by_delay, MINUTE_US).tolist() == [1, 2]
    assert known_by(by_delay, DAY_US).tolist() == [11, 22]
    assert known_by(by_delay, MATURITIES_US[-1]).tolist() == [11, 22]
    with pytest.raises(ValueError, match="not in tuple"):
        known_by(by_delay, 7)
