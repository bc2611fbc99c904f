import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.scoring import load_package, seed_package
from driftline.scoring.linear import WeightedSum
from driftline.scoring.logistic import LogisticModel, sigmoid

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
