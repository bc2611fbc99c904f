import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.scoring import load_package, seed_package
from driftline.scoring.linear import LinearModel, WeightedSum
from driftline.scoring.logistic import LogisticModel, SoftmaxModel, sigmoid
from driftline.scoring.model import ScoresColumns

finite = st.floats(allow_nan=False, allow_infinity=False)
rows = st.tuples(finite, finite)


def test_the_seeds_example_has_the_probability_it_always_had() -> None:
    schema, model = load_package(seed_package())
    assert model.score_row(list(schema.example.values())) == 0.7649478037637648


@given(st.lists(rows, min_size=1), finite, rows)
def test_a_row_scores_the_same_alone_and_among_others(
    matrix: list[tuple[float, float]], bias: float, weights: tuple[float, float]
) -> None:
    model = LogisticModel(WeightedSum(bias, weights))
    assert [repr(score) for score in model.score(matrix)] == [repr(model.score_row(row)) for row in matrix]


def test_no_rows_have_no_scores() -> None:
    assert LogisticModel(WeightedSum(0.0, [1.0])).score([]) == []


@given(st.floats(allow_nan=False))
def test_the_sigmoid_never_overflows_and_stays_in_0_to_1(z: float) -> None:
    assert 0 <= sigmoid(z) <= 1


@given(st.floats(-30, 30))
def test_the_sigmoid_is_symmetric(z: float) -> None:
    assert math.isclose(sigmoid(z) + sigmoid(-z), 1, rel_tol=1e-15)


@pytest.mark.parametrize(
    ("z", "probability"), [(0.0, 0.5), (1e308, 1.0), (-1e308, 0.0), (math.inf, 1.0), (-math.inf, 0.0)]
)
def test_the_sigmoid_has_its_limits(z: float, probability: float) -> None:
    assert sigmoid(z) == probability


def test_terms_that_overflow_in_both_directions_have_no_score() -> None:
    model = LogisticModel(WeightedSum(0.0, [sys.float_info.max, -sys.float_info.max]))
    assert math.isnan(model.score_row([2.0, 2.0]))


def test_a_row_of_the_wrong_length_is_an_error_and_not_another_score() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        LogisticModel(WeightedSum(0.0, [1.0, 2.0])).score_row([1.0])


def models_of(bias: float, weights: tuple[float, ...]) -> list[ScoresColumns]:
    weighted = WeightedSum(bias, weights)
    return [LogisticModel(weighted), LinearModel(weighted), SoftmaxModel([weighted, WeightedSum(-bias, weights[::-1])])]


wide = st.floats(-1e3, 1e3) | st.sampled_from([0.0, -0.0, 1e200, sys.float_info.max, -sys.float_info.max, 5e-324])


@given(
    st.lists(st.tuples(wide, st.integers(-(2**53), 2**53), st.booleans()), min_size=1),
    wide,
    st.tuples(wide, wide, wide),
)
def test_columns_score_as_their_rows_do_to_the_last_bit(
    rows: list[tuple[float, int, bool]], bias: float, weights: tuple[float, float, float]
) -> None:
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    for model in models_of(bias, weights):
        assert repr(model.score_columns(columns)) == repr([model.score_row(row) for row in rows])


def test_columns_of_float32_score_as_the_numbers_that_they_hold() -> None:
    column = np.array([0.1, -7.3, 1e30], dtype=np.float32)
    for model in models_of(0.1, (0.3,)):
        assert list(model.score_columns([column])) == [model.score_row((value,)) for value in column.tolist()]


def test_the_wrong_number_of_columns_is_an_error_and_not_another_score() -> None:
    for model in models_of(0.0, (1.0, 2.0)):
        with pytest.raises(ValueError, match=r"shorter|longer"):
            model.score_columns([np.zeros(2)])
