"""Bins are cut once: every value has one, counts of spans add up, and their law is that of order statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from driftline.drift.bins import MISSING, STRANGE, CategoryBins, category_bins, number_bins
from driftline.drift.build import Named, cut
from driftline.drift.layout import Layout, Values

floats = st.lists(st.floats(), min_size=1, max_size=40)


@given(floats, floats, floats)
def test_counts_of_two_spans_add_up_to_those_of_both(
    reference: list[float], one: list[float], other: list[float]
) -> None:
    column = cut([Named("a", "feature", "number")], [np.array(reference * 30)])[0]
    layout = Layout([column])
    parts = [layout.count([np.array(span)]) for span in (one, other)]

    assert (parts[0] + parts[1] == layout.count([np.array(one + other)])).all()
    assert parts[0].sum() == len(one)
    assert sum(column.counts) == len(reference) * 30


@given(floats)
def test_edges_rise_and_are_finite_whatever_the_values(values: list[float]) -> None:
    edges = np.array(number_bins(np.array(values)).edges)
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()


def test_a_value_that_many_rows_share_has_a_bin_of_its_own() -> None:
    draw = np.random.default_rng(1)
    values = np.where(draw.random(5_000) < 0.4, 0.0, draw.normal(size=5_000))
    column = cut([Named("a", "feature", "number")], [values])[0]
    codes = number_bins(values).codes(np.array([0.0, np.nextafter(0, 1), np.nextafter(0, -1)]))

    assert len(set(codes.tolist())) == 3
    assert column.counts[codes[0]] == (values == 0).sum()


def test_out_of_range_infinite_and_missing_values_have_bins_of_their_own() -> None:
    bins = number_bins(np.arange(300.0))
    codes = bins.codes(np.array([np.nan, -np.inf, -1, 0, 299, 300, np.inf]))
    assert codes.tolist() == [MISSING, STRANGE, STRANGE, 2, bins.count - 2, bins.count - 1, bins.count - 1]
    empty = number_bins(np.array([np.nan, np.inf]))
    assert empty.count == 3
    assert empty.codes(np.array([np.nan, -1.0, 1.0])).tolist() == [0, 1, 2]


def test_categories_are_told_apart_and_the_unseen_from_the_missing() -> None:
    bins = category_bins({"b": 5, "a": 5, "c": 9})
    assert bins == CategoryBins(("c", "a", "b"))
    assert bins.coded(["c", None, "z", "b"]).tolist() == [2, MISSING, STRANGE, 4]
    many = category_bins({str(value): 1 + value for value in range(300)})
    assert many.rest
    assert many.count == 202


@pytest.mark.parametrize("law", ["normal", "standard_cauchy", "exponential"])
def test_a_bin_of_a_number_is_beta_distributed_whatever_the_law_of_the_values(law: str) -> None:
    draw = np.random.default_rng(2)
    truths = []
    for _ in range(300):
        values = getattr(draw, law)(size=400)
        column = cut([Named("a", "feature", "number")], [values])[0]
        name = {"normal": "norm", "standard_cauchy": "cauchy", "exponential": "expon"}[law]
        cdf = getattr(stats, name).cdf(
            np.asarray(column.bins.edges if not isinstance(column.bins, CategoryBins) else ())
        )
        truths.append((cdf[0], cdf[1] - cdf[0], cdf[5] - cdf[4], 1 - cdf[-1]))
    alphas = column.alphas()
    assert alphas[1:].sum() == 401
    for truth, at in zip(zip(*truths, strict=True), (1, 2, 6, -1), strict=True):
        assert stats.kstest(truth, stats.beta(alphas[at], 401 - alphas[at]).cdf).pvalue > 0.001


def test_columns_are_counted_together_as_they_are_alone() -> None:
    draw = np.random.default_rng(3)
    values: list[Values] = [draw.normal(size=500), [str(value) for value in draw.integers(0, 9, 500)]]
    columns = cut([Named("a", "feature", "number"), Named("c", "feature", "category")], values)
    together = Layout(columns)
    for column, own, counts in zip(columns, values, together.split(together.count(values)), strict=True):
        assert (counts == Layout([column]).count([own])).all()
