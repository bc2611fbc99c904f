"""How far two references of a column are from each other, whatever their bins."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from driftline.drift.build import Named, cut
from driftline.drift.compare import apart
from driftline.drift.profile import Column


def number(values: object) -> Column:
    (column,) = cut([Named("x", "feature", "number")], [np.asarray(values, dtype=np.float64)])
    return column


def category(values: Sequence[str | None]) -> Column:
    (column,) = cut([Named("x", "class", "category")], [values])
    return column


def normal(rows: int, seed: int, shift: float = 0) -> Column:
    return number(np.random.default_rng(seed).normal(size=rows) + shift)


def test_a_column_is_nowhere_apart_from_itself() -> None:
    assert apart(normal(1000, 0), normal(1000, 0)) == 0
    assert apart(category(["a", "b"]), category(["a", "b"])) == 0


@pytest.mark.parametrize("shift", [0, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("rows", [500, 5000])
def test_of_numbers_it_is_about_the_statistic_of_kolmogorov_and_smirnov(shift: float, rows: int) -> None:
    random = np.random.default_rng(1)
    one, other = random.normal(size=rows), random.normal(size=5000) + shift
    expected = ks_2samp(one, other).statistic
    assert apart(number(one), number(other)) == pytest.approx(expected, abs=0.03)


def test_what_only_one_is_missing_counts() -> None:
    some = np.random.default_rng(0).normal(size=1000)
    holey = np.where(np.arange(1000) % 4 == 0, np.nan, some)
    found = apart(number(some), number(holey))
    assert found is not None
    assert found >= 0.25


def test_of_categories_it_is_the_total_variation() -> None:
    assert apart(category(["a"] * 6 + ["b"] * 4), category(["a"] * 3 + ["c"] * 7)) == pytest.approx(0.7)
    assert apart(category(["a", None]), category(["a", "a"])) == pytest.approx(0.5)


def test_a_number_and_a_category_cannot_be_compared() -> None:
    assert apart(normal(300, 0), category(["a"])) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_it_is_a_share_and_the_same_both_ways(one: list[float], other: list[float]) -> None:
    there, back = apart(number(one), number(other)), apart(number(other), number(one))
    assert there is not None
    assert 0 <= there <= 1 + 1e-9
    assert there == pytest.approx(back)


def test_values_far_apart_have_all_rows_differ() -> None:
    assert apart(normal(1000, 0), normal(1000, 1, shift=100)) == pytest.approx(1, abs=0.01)
    assert apart(number([5.0] * 300), number([7.0] * 300)) == pytest.approx(1)
