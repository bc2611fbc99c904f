"""What is drawn is what was counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.console.distribution import distribution
from driftline.drift.build import Named, cut
from driftline.drift.layout import Layout
from driftline.drift.profile import Column

FLOATS = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=400)


def number(values: list[float]) -> Column:
    return cut([Named("x", "feature", "number")], [np.array(values)])[0]


@given(FLOATS, FLOATS)
def test_bars_and_what_is_outside_are_all_rows(reference: list[float], current: list[float]) -> None:
    column = number(reference)
    drawn = distribution(column, Layout([column]).count([np.array(current)]))
    shares = [*drawn.bars, *drawn.outside]
    assert abs(sum(it.reference or 0 for it in shares) - 1) < 1e-9
    assert abs(sum(it.current or 0 for it in shares) - 1) < 1e-9
    assert all(-1e-12 <= (it.current or 0) <= 1 + 1e-12 for it in shares)


@pytest.mark.parametrize("outlier", [1e6, -1e6])
def test_an_outlier_of_the_reference_does_not_squeeze_all_others_into_one_bar(outlier: float) -> None:
    column = number([*np.linspace(0, 1, 2000).tolist(), outlier])
    drawn = distribution(column, Layout([column]).count([np.array([0.5])]))
    assert -1e-9 <= drawn.edges[0] < drawn.edges[-1] <= 1
    assert any("1,000,000" in it.label for it in drawn.outside)


def test_no_current_rows_are_none_and_not_zero() -> None:
    column = number(np.linspace(0, 1, 500).tolist())
    drawn = distribution(column, np.zeros(column.bins.count, np.int64))
    assert {it.current for it in drawn.bars} == {None}
    assert all(it.reference is not None for it in drawn.bars)


def test_a_constant_is_listed_as_the_value_it_is() -> None:
    column = number([3.5] * 400)
    drawn = distribution(column, Layout([column]).count([np.array([3.5, 3.5, 4.0, 1.0])]))
    assert [(it.label, it.reference, it.current) for it in drawn.bars] == [("3.5", 1.0, 0.5)]
    assert {it.label: it.current for it in drawn.outside} == {"missing": 0, "below 3.5": 0.25, "above 3.5": 0.25}
