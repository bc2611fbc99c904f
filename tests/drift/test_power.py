"""The smallest change that is said to be seen within a day is seen, and one much smaller is not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.drift.build import Named, cut
from driftline.drift.power import smallest_changes
from driftline.drift.profile import Column, Dispersion
from driftline.drift.scan import Scan

DAYS_A_FALSE_ALARM = 30


def reference(law: str, draw: np.random.Generator, rows: int) -> Column:
    kind = "category" if law == "category" else "number"
    return cut([Named("a", "feature", kind)], [drawn(law, draw, rows)])[0]


def drawn(law: str, draw: np.random.Generator, rows: int) -> NDArray[np.float64] | list[object]:
    if law == "normal":
        return draw.normal(size=rows)
    values = draw.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    return values.astype(float) if law == "whole" else [str(value) for value in values]


def seen_within_a_day(law: str, *, windows: int, rows: int, size: float, kind: str) -> float:
    """Share of 50 days, each with a reference of its own, in which such a change is seen."""
    draw = np.random.default_rng(1)
    seen = 0
    for _ in range(50):
        column = reference(law, draw, 2_000)
        scan = Scan([column], 1 / DAYS_A_FALSE_ALARM / windows)
        for _ in range(windows):
            values = drawn(law, draw, rows // windows)
            if kind == "shift":
                values = np.asarray(values, float) + size * column.sd
            elif law == "category":
                values = [
                    "0" if chance < size else value
                    for chance, value in zip(draw.random(len(values)), values, strict=True)
                ]
            else:
                values = np.where(draw.random(len(values)) < size, 0.0, np.asarray(values, float))
            if scan.observe(scan.layout.count([values]))[0].alarm:
                seen += 1
                break
    return seen / 50


@pytest.mark.parametrize(("windows", "rows"), [(1, 1_000), (24, 2_400)])
@pytest.mark.parametrize(
    ("law", "kind"), [("normal", "shift"), ("normal", "share"), ("whole", "share"), ("category", "share")]
)
def test_it_is_seen_as_often_as_was_asked_for(law: str, kind: str, windows: int, rows: int) -> None:
    column = reference(law, np.random.default_rng(2), 2_000)
    smallest = smallest_changes([column], rows, windows, 1 / DAYS_A_FALSE_ALARM / windows)[0]
    size = smallest.shift_sd if kind == "shift" else smallest.share
    assert size is not None

    assert seen_within_a_day(law, windows=windows, rows=rows, size=size, kind=kind) >= 0.62  # 0.8 less three sd
    assert seen_within_a_day(law, windows=windows, rows=rows, size=size / 3, kind=kind) <= 0.3


def test_more_traffic_and_a_looser_budget_show_less() -> None:
    column = reference("normal", np.random.default_rng(3), 10_000)

    def shifts(*, rows: float = 1_000, false_alarms: float = 1e-4, columns: int = 1) -> float:
        shift = smallest_changes([column] * columns, rows, 24, false_alarms)[0].shift_sd
        assert shift is not None
        return shift

    assert shifts(rows=10_000) < shifts(rows=1_000) < shifts(rows=300)
    assert shifts(false_alarms=1e-2) < shifts() < shifts(false_alarms=1e-6)
    assert shifts() < shifts(columns=20)


def test_dependent_rows_show_less() -> None:
    column = reference("normal", np.random.default_rng(4), 10_000)
    dependent = Column(
        "a", "feature", column.bins, column.counts, column.sd, (Dispersion(50, 9.0), Dispersion(100, 9.0))
    )
    plain, less = (smallest_changes([each], 24_000, 24, 1e-4)[0].shift_sd for each in (column, dependent))

    assert plain is not None
    assert less is not None
    assert less > 2 * plain


def test_what_no_day_shows_is_none() -> None:
    draw = np.random.default_rng(5)
    few, constant, empty = smallest_changes(
        [
            reference("normal", draw, 2_000),
            cut([Named("c", "feature", "number")], [np.full(500, 3.0)])[0],
            cut([Named("e", "feature", "number")], [np.full(500, np.nan)])[0],
        ],
        2,
        1,
        1e-6,
    )

    assert few == (None, None)
    assert constant == (None, None)
    assert empty == (None, None)
