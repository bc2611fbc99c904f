"""The streams hold what they say."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest

from bench_drift.detector import Rows
from bench_drift.streams import (
    PHI,
    SIZES,
    Size,
    Source,
    autoregressive,
    changed,
    constant,
    creep,
    day_rows,
    discounted,
    in_own_order,
    normal,
    scale,
    seasonal,
    shift,
    shuffled,
    swap,
)

SIZE = Size(100_000, 1000)


@dataclass(frozen=True)
class Series:
    rows: Rows
    categorical: bool = False


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("source", [normal, autoregressive, seasonal])
def test_made_up_rows_have_mean_0_and_an_sd_near_1(source: Source) -> None:
    stream = source(rng(), SIZE)

    assert abs(stream.reference.mean()) < 0.03
    assert abs(stream.reference.std() - 1) < 0.03
    assert [len(rows) for rows in islice(stream.windows, 3)] == [1000] * 3


def test_discounted_rows_keep_half_of_the_one_before() -> None:
    noise = rng().standard_normal(300)
    by_hand = [noise[0]]
    for value in noise[1:]:
        by_hand.append(value + PHI * by_hand[-1])

    assert np.allclose(discounted(noise), by_hand, atol=1e-12)


def test_autoregressive_rows_correlate_within_and_across_windows() -> None:
    stream = autoregressive(rng(), Size(100_000, 1))
    rows = np.concatenate([stream.reference, *islice(stream.windows, 20_000)])

    for part in (rows[:100_000], rows[100_000:]):
        assert np.corrcoef(part[:-1], part[1:])[0, 1] == pytest.approx(PHI, abs=0.02)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_reference_holds_whole_days(size: Size) -> None:
    assert size.reference_rows % day_rows(size) == 0
    assert size.reference_rows >= 2 * day_rows(size)


def test_a_day_goes_on_from_the_reference_into_the_windows() -> None:
    size = Size(1_000_000, 100_000)
    day = day_rows(size)
    stream = seasonal(rng(), size)
    rows = np.concatenate([stream.reference, *islice(stream.windows, 5)])
    morning, evening = (
        rows.reshape(-1, day)[:, : day // 2].mean(axis=1),
        rows.reshape(-1, day)[:, day // 2 :].mean(axis=1),
    )

    assert np.allclose(morning - evening, 2 * 0.15 * np.sqrt(2) * 2 / np.pi, atol=0.02)


def test_shuffled_rows_are_the_columns_each_once() -> None:
    column = Series(np.arange(1000.0), categorical=True)
    stream = shuffled(column)(rng(), Size(300, 200))
    rows = np.concatenate([stream.reference, *stream.windows])

    assert len(rows) == 900
    assert len(np.unique(rows)) == 900
    assert not np.array_equal(rows, np.sort(rows))
    assert stream.categorical


def test_rows_in_their_own_order_are_cut_into_whole_windows() -> None:
    stream = in_own_order(np.arange(1000.0), Size(300, 200), categorical=False)

    assert np.array_equal(np.concatenate([stream.reference, *stream.windows]), np.arange(900.0))


def test_changes_do_what_they_are_called() -> None:
    rows = rng().standard_normal(100_000)

    assert np.allclose(shift(0.25)(rows, 1, rng()) - rows, 0.25)
    assert scale(1.2, around=5.0)(rows + 5, 1, rng()).std() == pytest.approx(1.2 * rows.std())
    assert scale(1.2, around=5.0)(rows + 5, 1, rng()).mean() == pytest.approx(5, abs=0.02)
    assert (constant(7.0)(rows, 1, rng()) == 7).mean() == pytest.approx(0.05, abs=0.005)
    assert np.allclose(creep(0.01)(rows, 30, rng()) - rows, 0.3)
    assert swap(1, 3)(np.array([1.0, 2.0, 3.0, 3.0]), 1, rng()).tolist() == [3, 2, 1, 1]


def test_the_change_comes_with_the_first_window_after_the_quiet_ones() -> None:
    stream = in_own_order(np.zeros(1000), Size(300, 100), categorical=False)
    means = [float(rows.mean()) for rows in changed(stream, creep(1), 3, rng()).windows]

    assert means == [0, 0, 0, 1, 2, 3, 4]
