"""Sizes of a change: those of scipy on the same rows, bounded, additive in no hidden way, with intervals that cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from driftline.drift.bins import CategoryBins, NumberBins
from driftline.drift.build import Named, cut
from driftline.drift.effect import SMALLEST_SHARE, Effects, Yardstick, effect_intervals
from driftline.drift.layout import Layout, Values
from driftline.drift.profile import Column

NAN = float("nan")


def number(values: NDArray[np.float64], name: str = "a") -> Column:
    return cut([Named(name, "feature", "number")], [values])[0]


def category(values: list[str | None], name: str = "c") -> Column:
    return cut([Named(name, "feature", "category")], [values])[0]


def counted(column: Column, values: Values) -> NDArray[np.int64]:
    return Layout([column]).count([values])


def sizes(column: Column, counts: NDArray[np.int64]) -> dict[str, float]:
    measured = Yardstick([column], Layout([column])).measure(counts)
    return {name: float(size[0]) for name, size in zip(Effects._fields, measured, strict=True)}


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("law", ["normal", "exponential", "whole"])
def test_a_number_is_as_far_away_as_scipy_says_of_the_rows_themselves(law: str, shift: float) -> None:
    draw = np.random.default_rng(3)
    before, now = (getattr(draw, "normal" if law == "whole" else law)(size=20_000) for _ in range(2))
    now = now + shift
    if law == "whole":
        before, now = np.round(before * 3), np.round(now * 3)
    found = sizes(number(before), counted(number(before), now))

    assert found["distance"] == pytest.approx(stats.ks_2samp(before, now).statistic, abs=0.015)
    inside = np.clip(now, before.min(), before.max())
    exact = stats.wasserstein_distance(before, inside) / before.std()
    assert found["wasserstein_sd"] == pytest.approx(exact, rel=0.03, abs=0.005)
    assert found["moved"] == found["distance"]


def test_values_that_many_rows_share_are_measured_exactly() -> None:
    draw = np.random.default_rng(4)
    before, now = draw.integers(0, 12, 5_000).astype(float), draw.integers(1, 12, 5_000).astype(float)
    found = sizes(number(before), counted(number(before), now))

    assert found["distance"] == pytest.approx(stats.ks_2samp(before, now).statistic, abs=1e-12)
    assert found["wasserstein_sd"] == pytest.approx(stats.wasserstein_distance(before, now) / before.std(), rel=1e-9)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=3, max_size=30))
def test_a_category_is_as_far_away_as_scipy_says_of_its_shares(pairs: list[tuple[int, int]]) -> None:
    before, now = (np.array(side) for side in zip(*pairs, strict=True))
    before[2] += 1
    now[2] += 1
    values = tuple(f"v{index}" for index in range(len(pairs) - 2))
    column = Column("c", "feature", CategoryBins(values), tuple(before.tolist()))
    found = sizes(column, now)
    p, q = before / before.sum(), now / now.sum()
    held_p, held_q = before[1:] / before[1:].sum(), now[1:] / now[1:].sum()
    floored_p, floored_q = np.maximum(p, SMALLEST_SHARE), np.maximum(q, SMALLEST_SHARE)

    assert found["js_distance"] == pytest.approx(jensenshannon(p, q, base=2), abs=1e-6)
    assert found["moved"] == pytest.approx(np.abs(p - q).sum() / 2)
    assert found["distance"] == pytest.approx(np.abs(held_p - held_q).sum() / 2)
    assert found["psi"] == pytest.approx(np.sum((floored_q - floored_p) * np.log(floored_q / floored_p)))
    assert np.isnan(found["wasserstein_sd"])
    if p.min() >= SMALLEST_SHARE <= q.min():
        assert found["psi"] == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p))


def test_a_number_is_cut_in_tenths_for_psi() -> None:
    draw = np.random.default_rng(5)
    before, now = draw.normal(size=50_000), draw.normal(0.5, size=50_000)
    edges = np.quantile(before, np.arange(1, 10) / 10)
    p, q = (np.bincount(np.searchsorted(edges, side), minlength=10) / len(side) for side in (before, now))
    found = sizes(number(before), counted(number(before), now))

    assert found["psi"] == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), rel=0.03)
    assert found["js_distance"] == pytest.approx(jensenshannon(p, q, base=2), rel=0.03)


def test_one_outlier_moves_nothing_by_more_than_its_share() -> None:
    draw = np.random.default_rng(6)
    column = number(draw.normal(size=10_000))
    rows = draw.normal(size=1_000)
    without, outlying = sizes(column, counted(column, rows)), sizes(column, counted(column, np.append(rows, 1e300)))

    assert outlying["wasserstein_sd"] == pytest.approx(without["wasserstein_sd"], abs=0.01)
    assert outlying["distance"] == pytest.approx(without["distance"], abs=0.002)
    assert outlying["psi"] == pytest.approx(without["psi"], abs=0.005)


def test_a_shift_is_the_same_number_of_standard_deviations_on_any_scale() -> None:
    draw = np.random.default_rng(7)
    before, now = draw.normal(size=5_000), draw.normal(0.3, size=5_000)
    plain = sizes(number(before), counted(number(before), now))
    for scale in (1e-9, 1e9):
        scaled = sizes(number(before * scale), counted(number(before * scale), now * scale))
        assert scaled == pytest.approx(plain, rel=1e-6)


def test_missing_rows_count_as_moved_but_do_not_move_the_values() -> None:
    draw = np.random.default_rng(8)
    before = draw.normal(size=10_000)
    now = before.copy()
    now[::2] = NAN
    found = sizes(number(before), counted(number(before), now))

    assert found["moved"] == pytest.approx(0.5)
    assert found["distance"] < 0.01
    assert found["psi"] > 1
    values: list[str | None] = ["x", "y"] * 500
    gone = [None if index % 10 == 0 else value for index, value in enumerate(values)]
    assert sizes(category(values), counted(category(values), gone))["moved"] == pytest.approx(0.1)


def test_what_is_the_same_has_no_size() -> None:
    column = number(np.random.default_rng(9).normal(size=1_000))
    found = sizes(column, np.asarray(column.counts) * 3)

    assert found == pytest.approx(dict.fromkeys(Effects._fields, 0.0), abs=1e-12)


def test_no_rows_no_values_and_no_spread_have_no_number() -> None:
    column = number(np.random.default_rng(10).normal(size=1_000))
    nothing = sizes(column, np.zeros(column.bins.count, np.int64))
    missing = sizes(column, counted(column, np.full(50, NAN)))
    constant = number(np.full(300, 7.0))
    unheld = Column("u", "feature", NumberBins((0.0,)), (300, 0, 0))

    assert all(map(np.isnan, nothing.values()))
    assert np.isnan(missing["distance"])
    assert np.isnan(missing["wasserstein_sd"])
    assert missing["moved"] == 1
    assert np.isnan(sizes(constant, counted(constant, np.array([7.0, 8.0])))["wasserstein_sd"])
    assert sizes(constant, counted(constant, np.array([7.0, 8.0])))["distance"] == 0.5
    assert sizes(unheld, counted(unheld, np.array([1.0, NAN])))["moved"] == 0.5


def test_columns_and_spans_are_measured_together_as_they_are_alone() -> None:
    draw = np.random.default_rng(11)
    columns = [
        number(draw.normal(size=2_000)),
        category([str(value) for value in draw.integers(0, 5, 2_000)]),
        number(np.full(2_000, NAN), "empty"),
        number(draw.exponential(size=2_000), "b"),
    ]
    layout = Layout(columns)
    spans = []
    for _ in range(3):
        values: list[Values] = [
            draw.normal(0.2, size=300),
            [str(value) for value in draw.integers(0, 6, 300)],
            np.full(300, NAN),
            draw.exponential(size=300),
        ]
        spans.append(layout.count(values))
    together = Yardstick(columns, layout).measure(np.stack(spans))

    for row, counts in enumerate(spans):
        for at, (column, own) in enumerate(zip(columns, layout.split(counts), strict=True)):
            alone = sizes(column, own)
            for name, size in zip(Effects._fields, together, strict=True):
                assert size[row, at] == pytest.approx(alone[name], abs=1e-9, nan_ok=True)


@given(st.integers(0, 2**32 - 1))
def test_sizes_stay_within_their_bounds(seed: int) -> None:
    draw = np.random.default_rng(seed)
    before = draw.choice([draw.normal(size=400), draw.standard_cauchy(400), draw.integers(0, 4, 400).astype(float)])
    column = number(np.where(draw.random(400) < draw.random(), before, NAN))
    found = sizes(column, draw.integers(0, 50, column.bins.count))
    assert isinstance(column.bins, NumberBins)
    width = (column.bins.edges[-1] - column.bins.edges[0]) / max(column.sd, 1e-300)

    for name in ("js_distance", "distance", "moved"):
        assert np.isnan(found[name]) or -1e-12 <= found[name] <= 1 + 1e-12
    assert 0 <= found["psi"] < 2 * np.log(1 / SMALLEST_SHARE)
    assert np.isnan(found["wasserstein_sd"]) or -1e-12 <= found["wasserstein_sd"] <= width * (1 + 1e-9)


@pytest.mark.parametrize(("reference", "rows", "shift"), [
    (10_000, 200, 0.0), (10_000, 200, 0.1), (10_000, 1_000, 0.25), (1_000, 10_000, 0.1), (1_000, 1_000, 1.0),
])  # fmt: skip
def test_intervals_cover_the_truth_of_a_number(reference: int, rows: int, shift: float) -> None:
    draw = np.random.default_rng(12)
    everything = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    hits = np.zeros(len(Effects._fields))
    for _ in range(60):
        column = number(draw.normal(size=reference))
        population = Column("a", "feature", column.bins, tuple(counted(column, everything).tolist()), column.sd)
        truth = sizes(population, counted(column, everything + shift))
        intervals = effect_intervals(column, counted(column, draw.normal(shift, size=rows)), 1.0)
        hits += [low - 1e-9 <= size <= high for (low, high), size in zip(intervals, truth.values(), strict=True)]

    assert (hits >= 52).all(), dict(
        zip(Effects._fields, hits, strict=True)
    )  # 57 are due; 52 is three standard deviations less


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.4, 0.3, 0.2, 0.1), (0.02,) * 50], ids=len)
@pytest.mark.parametrize("swapped", [0.0, 0.1])
def test_intervals_cover_the_truth_of_a_category(shares: tuple[float, ...], swapped: float) -> None:
    draw = np.random.default_rng(13)
    bins = CategoryBins(tuple(map(str, range(len(shares)))))
    p = np.array([0, 0, *shares])
    q = p.copy()
    q[2] -= swapped * p[2]
    q[3] += swapped * p[2]
    truth = sizes(Column("c", "feature", bins, tuple((p * 1e9).astype(int).tolist())), (q * 1e9).astype(int))
    hits = np.zeros(len(Effects._fields))
    for _ in range(60):
        column = Column("c", "feature", bins, tuple(draw.multinomial(5_000, p).tolist()))
        intervals = effect_intervals(column, draw.multinomial(500, q), 1.0)
        hits += [
            np.isnan(size) or low - 1e-9 <= size <= high
            for (low, high), size in zip(intervals, truth.values(), strict=True)
        ]

    assert (hits >= 52).all(), dict(zip(Effects._fields, hits, strict=True))


def test_dependent_rows_widen_the_interval() -> None:
    draw = np.random.default_rng(14)
    column = number(draw.normal(size=10_000))
    counts = counted(column, draw.normal(0.3, size=5_000))
    narrow, wide = (effect_intervals(column, counts, factor).distance for factor in (1.0, 9.0))

    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert effect_intervals(column, counts, 1.0).distance == narrow


def test_an_interval_of_nothing_is_no_interval() -> None:
    column = number(np.random.default_rng(15).normal(size=1_000))
    intervals = effect_intervals(column, np.zeros(column.bins.count, np.int64), 1.0)

    assert all(np.isnan(limit) for interval in intervals for limit in interval)
