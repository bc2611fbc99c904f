"""Errors of numbers: exact sums, whatever their unit, and the measures that follow."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.quality.regression import Errors, tally_errors
from tests.quality.rows import covered

sizes = st.floats(min_value=1e-30, max_value=1e15) | st.floats(min_value=-1e15, max_value=-1e-30)


def errors(predictions: list[float], outcomes: list[float]) -> Errors:
    return Errors.of(tally_errors(np.array(predictions), np.array(outcomes)))


def test_the_measures_are_those_of_the_rows() -> None:
    random = np.random.default_rng(1)
    predictions, outcomes = random.normal(1, 10, 500), random.normal(0, 10, 500)
    found = Errors.of(tally_errors(predictions, outcomes))
    assert found.rows == 500
    assert found.mae is not None
    assert found.rmse is not None
    assert found.bias is not None
    assert found.mae.value == pytest.approx(np.abs(predictions - outcomes).mean(), rel=1e-12)
    assert found.rmse.value == pytest.approx(math.sqrt(((predictions - outcomes) ** 2).mean()), rel=1e-12)
    assert found.bias.value == pytest.approx((predictions - outcomes).mean(), rel=1e-9)
    assert errors([1.0], [2.0]).mae is None


@given(st.lists(sizes, min_size=1, max_size=30), st.randoms())
def test_sums_are_the_same_in_any_order_and_back(drawn: list[float], order: object) -> None:
    values = np.array(drawn)
    whole = tally_errors(values, np.zeros(len(values)))
    shuffled = list(drawn)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    apart = [tally_errors(np.array([each]), np.zeros(1)) for each in shuffled]
    assert np.array_equal(sum(apart[1:], apart[0]), whole)
    assert not (whole - sum(apart[1:], apart[0])).any()


@given(st.lists(sizes, min_size=1, max_size=10))
def test_nothing_of_a_size_is_lost(drawn: list[float]) -> None:
    found = errors(drawn, [0.0] * len(drawn))
    over = sum((Fraction(each) for each in drawn if each > 0), Fraction())
    squares = sum((Fraction(each * each) for each in drawn), Fraction())
    assert found.over == pytest.approx(float(over), rel=1e-15)
    assert found.squares == pytest.approx(float(squares), rel=1e-12)


def test_an_error_beyond_all_bounds_counts_as_the_largest() -> None:
    found = errors([1e308, -1e308], [-1e308, 1e308])
    assert found.rmse is not None
    assert found.rmse.value == 2.0**59
    assert found.bias is not None
    assert found.bias.value == 0


@pytest.mark.parametrize(("name", "truth"), [("mae", math.sqrt(2 / math.pi)), ("rmse", 1.0), ("bias", 0.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(name: str, truth: float) -> None:
    random = np.random.default_rng(5)
    drawn = [random.normal(0, 1, 300) for _ in range(600)]
    intervals = [getattr(Errors.of(tally_errors(each, np.zeros(300))), name) for each in drawn]
    assert 0.92 < covered(intervals, truth) < 0.98
