import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftline.quality.interval import Z
from driftline.quality.versus import Side, unpaired, versus

NAN = math.nan


def binary(scores: list[float], threshold: float = 0.5) -> Side:
    array = np.array(scores)
    return Side(array, (array >= threshold).astype(np.int64))


def told(*outcomes: float) -> NDArray[np.float64]:
    return np.array(outcomes, dtype=np.float64)


def test_a_model_against_itself_agrees_and_shows_no_difference() -> None:
    side = binary([0.1, 0.6, 0.9, 0.4])
    found = versus(side, side, told(0, 1, 1, NAN), regression=False)
    assert found.agreement is not None
    assert found.shift is not None
    assert (found.rows, found.labelled, found.agreement.value, found.shift.value) == (4, 3, 1.0, 0.0)
    assert found.apart == (0.0, 0.0, 0.0, 0.0)
    assert {name: measure.difference.value for name, measure in found.measures.items()} == {
        "accuracy": 0.0,
        "log loss": 0.0,
        "Brier score": 0.0,
    }


def test_the_difference_of_scores_and_of_each_measure_is_by_row() -> None:
    found = versus(binary([0.2, 0.8]), binary([0.4, 0.3]), told(1, 1), regression=False)
    assert found.agreement is not None
    assert found.shift is not None
    assert found.agreement.value == 0.5
    assert found.shift.value == pytest.approx(-0.15)
    assert found.apart[0] == pytest.approx(0.35)
    assert found.apart[-1] == pytest.approx(0.5)
    accuracy, brier = found.measures["accuracy"], found.measures["Brier score"]
    assert (accuracy.champion.value, accuracy.challenger.value, accuracy.difference.value) == (0.5, 0.0, -0.5)
    assert brier.champion.value == pytest.approx((0.64 + 0.04) / 2)
    assert brier.difference.value == pytest.approx((0.36 + 0.49 - 0.64 - 0.04) / 2)


def test_of_three_classes_it_is_the_probability_of_what_the_champion_says() -> None:
    ours = Side(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), np.array([0, 2]))
    theirs = Side(np.array([[0.5, 0.4, 0.1], [0.6, 0.1, 0.3]]), np.array([0, 0]))
    found = versus(ours, theirs, told(0, 2), regression=False)
    assert found.agreement is not None
    assert found.shift is not None
    assert found.agreement.value == 0.5
    assert found.shift.value == pytest.approx((-0.2 - 0.5) / 2)
    assert found.measures["log loss"].champion.value == pytest.approx(-(math.log(0.7) + math.log(0.8)) / 2)
    assert found.measures["Brier score"].challenger.value == pytest.approx(
        (0.25 + 0.16 + 0.01 + 0.36 + 0.01 + 0.49) / 2
    )


def test_numbers_have_errors_in_place_of_classes() -> None:
    zeros = np.zeros(3, np.int64)
    found = versus(
        Side(np.array([1.0, 2.0, 3.0]), zeros), Side(np.array([2.0, 2.0, 2.0]), zeros), told(1, 3, NAN), regression=True
    )
    assert found.agreement is None
    assert found.measures["mean absolute error"].difference.value == 0.5
    assert found.measures["bias"].challenger.value == 0.0
    assert not found.measures["mean absolute error"].better


def test_one_known_outcome_is_too_few_to_measure_anything() -> None:
    found = versus(binary([0.2, 0.8]), binary([0.2, 0.8]), told(NAN, 1), regression=False)
    assert (found.labelled, found.measures) == (1, {})


@given(st.integers(0, 2**32), st.integers(200, 400))
def test_a_truly_better_challenger_is_shown_by_pairs_where_means_alone_would_not(seed: int, rows: int) -> None:
    chance = np.random.default_rng(seed)
    truth = chance.uniform(0, 100, rows)
    noise = chance.normal(0, 30, rows)
    zeros = np.zeros(rows, np.int64)
    ours, theirs = Side(truth + noise, zeros), Side(truth + noise * 0.9, zeros)
    measure = versus(ours, theirs, truth, regression=True).measures["mean absolute error"]
    assert measure.difference.high < 0, "each row is nearer"
    assert measure.champion.low < measure.challenger.high, "the means themselves overlap"


def test_rows_of_their_own_have_the_interval_of_independent_samples() -> None:
    ours, theirs = np.array([1.0, 2.0, 4.0, 9.0]), np.array([3.0, 5.0])
    found = unpaired(
        Side(ours, np.zeros(4, np.int64)),
        Side(theirs, np.zeros(2, np.int64)),
        told(0, 0, 0, 0),
        told(0, 0),
        classes=(),
    )
    assert (found.rows, found.labelled) == ((4, 2), (4, 2))
    error = math.sqrt(ours.var(ddof=1) / 4 + theirs.var(ddof=1) / 2)
    for measure in (found.given["mean"], found.measures["mean absolute error"], found.measures["bias"]):
        assert (measure.champion.value, measure.challenger.value, measure.difference.value) == (4.0, 4.0, 0.0)
        assert measure.difference.high == pytest.approx(Z * error)
        assert measure.difference.low == pytest.approx(-Z * error)


def test_a_few_rows_that_are_all_right_do_not_show_a_better_model() -> None:
    chance = np.random.default_rng(1)
    ours = binary(chance.uniform(0, 1, 1000).tolist())
    truth = np.where(chance.uniform(0, 1, 1000) < 0.95, ours.classes, 1 - ours.classes).astype(np.float64)
    found = unpaired(ours, binary([0.9, 0.9, 0.1]), truth, told(1, 1, 0), classes=("0", "1"))
    accuracy = found.measures["accuracy"]
    assert accuracy.challenger.value == 1.0
    assert 0 in accuracy.difference
    assert accuracy.better
    assert found.given["1"].challenger.value == pytest.approx(2 / 3)
    assert sum(measure.champion.value for measure in found.given.values()) == pytest.approx(1)


def test_rows_of_their_own_are_not_measured_by_one_outcome() -> None:
    side = binary([0.2, 0.8])
    found = unpaired(side, side, told(0, 1), told(NAN, 1), classes=("0", "1"))
    assert (found.labelled, found.measures) == ((2, 1), {})


def test_of_three_classes_each_has_its_share_and_the_measures_are_those_of_pairs() -> None:
    ours = Side(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), np.array([0, 2]))
    theirs = Side(np.array([[0.5, 0.4, 0.1], [0.6, 0.1, 0.3]]), np.array([0, 0]))
    truth = told(0, 2)
    found = unpaired(ours, theirs, truth, truth, classes=("a", "b", "c"))
    assert {name: measure.difference.value for name, measure in found.given.items()} == {"a": 0.5, "b": 0.0, "c": -0.5}
    pairs = versus(ours, theirs, truth, regression=False).measures
    for name, measure in found.measures.items():
        assert measure.difference.value == pytest.approx(pairs[name].difference.value)
