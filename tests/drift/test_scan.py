"""The scan keeps its budget of false alarms on whatever is exchangeable, and sees what is not."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.drift.build import Named, build_profile, cut
from driftline.drift.layout import Values
from driftline.drift.profile import Column, Origin
from driftline.drift.scan import Scan
from tests.drift.series import autoregressive

BUDGET = 0.1
"""False alarms a window: large, so that they can be counted."""
WINDOWS = 24

Law = Callable[[np.random.Generator, int], Values]


def normal(draw: np.random.Generator, rows: int) -> NDArray[np.float64]:
    return draw.normal(size=rows)


def sometimes_missing(draw: np.random.Generator, rows: int) -> NDArray[np.float64]:
    return np.where(draw.random(rows) < 0.3, np.nan, draw.normal(size=rows))


LAWS: dict[str, Law] = {
    "normal": normal,
    "cauchy": lambda draw, rows: draw.standard_cauchy(rows),
    "rounded": lambda draw, rows: np.round(draw.normal(size=rows), 1),
    "whole numbers": lambda draw, rows: draw.poisson(3, rows).astype(float),
    "two values": lambda draw, rows: (draw.random(rows) < 0.1).astype(float),
    "mostly zero": lambda draw, rows: np.where(draw.random(rows) < 0.8, 0.0, draw.exponential(size=rows)),
    "sometimes missing": sometimes_missing,
    "rarely missing": lambda draw, rows: np.where(draw.random(rows) < 0.002, np.nan, draw.normal(size=rows)),
    "constant": lambda draw, rows: np.full(rows, 7.0),
    "all missing": lambda draw, rows: np.full(rows, np.nan),
    "sometimes infinite": lambda draw, rows: np.where(draw.random(rows) < 0.01, np.inf, draw.normal(size=rows)),
    "five categories": lambda draw, rows: [str(value) for value in draw.integers(0, 5, rows)],
    "a hundred categories": lambda draw, rows: [str(value) for value in draw.integers(0, 100, rows)],
    "ever new categories": lambda draw, rows: [str(value) for value in draw.zipf(1.6, rows)],
    "each row its own": lambda draw, rows: [str(value) for value in draw.integers(0, 2**60, rows)],
}


def kind(values: Values) -> str:
    return "number" if isinstance(values, np.ndarray) else "category"


def alarms(columns: Callable[[np.random.Generator], Column], law: Law, *, rows: int, references: int) -> list[int]:
    """Alarms in 24 windows without change, by reference."""
    draw = np.random.default_rng(1)
    counted = []
    for _ in range(references):
        scan = Scan([columns(draw)], BUDGET)
        windows = (scan.layout.count([law(draw, rows)]) for _ in range(WINDOWS))
        counted.append(sum(scan.observe(counts)[0].alarm for counts in windows))
    return counted


def keeps_budget(counted: list[int]) -> bool:
    noise = np.std(counted) / np.sqrt(len(counted))
    return bool(np.mean(counted) <= BUDGET * WINDOWS + 2 * noise)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("reference_rows", "rows"), [(200, 300), (5_000, 200)])
def test_exchangeable_rows_keep_the_budget(name: str, reference_rows: int, rows: int) -> None:
    law = LAWS[name]

    def reference(draw: np.random.Generator) -> Column:
        values = law(draw, reference_rows)
        return cut([Named("a", "feature", kind(values))], [values])[0]

    counted = alarms(reference, law, rows=rows, references=25)
    assert keeps_budget(counted), np.mean(counted) / WINDOWS
    if name in {"constant", "all missing"}:
        assert sum(counted) == 0


@pytest.mark.parametrize("phi", [0.5, 0.8])
def test_dependent_rows_keep_it_when_the_reference_is_in_order_and_only_then(phi: float) -> None:
    def law(draw: np.random.Generator, rows: int) -> NDArray[np.float64]:
        return autoregressive(draw, rows, phi)

    def reference(draw: np.random.Generator, *, in_order: bool = True) -> Column:
        named = [Named("a", "feature", "number")]
        return build_profile("m", named, {"a": law(draw, 20_000)}, Origin("file", in_order=in_order)).columns[0]

    assert keeps_budget(alarms(reference, law, rows=400, references=8))
    unordered = alarms(lambda draw: reference(draw, in_order=False), law, rows=400, references=8)
    assert np.mean(unordered) > 3 * BUDGET * WINDOWS


CHANGES: dict[str, tuple[str, Law, str]] = {
    "shift": ("normal", lambda draw, rows: draw.normal(0.4, size=rows), "location"),
    "spread": ("normal", lambda draw, rows: draw.normal(0, 1.5, size=rows), "spread"),
    "constant": ("normal", lambda draw, rows: np.where(draw.random(rows) < 0.1, 0.5, draw.normal(size=rows)), "bin"),
    "missing": ("normal", sometimes_missing, "missing"),
    "above": ("normal", lambda draw, rows: np.where(draw.random(rows) < 0.05, 1e9, draw.normal(size=rows)), "above"),
    "unseen": ("five categories", lambda draw, rows: [str(value) for value in draw.integers(0, 6, rows)], "unseen"),
    "lost": ("five categories", lambda draw, rows: [str(value) for value in draw.integers(0, 4, rows)], "bin"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_in_its_first_window_and_named(name: str) -> None:
    before, changed, question = CHANGES[name]
    draw = np.random.default_rng(2)
    values = LAWS[before](draw, 5_000)
    scan = Scan(cut([Named("a", "feature", kind(values))], [values]), 1e-4)
    assert not any(scan.observe(scan.layout.count([LAWS[before](draw, 1_000)]))[0].alarm for _ in range(20))
    evidence = scan.observe(scan.layout.count([changed(draw, 1_000)]))[0]

    assert evidence.alarm
    assert evidence.detector == "sudden"
    assert evidence.answer.question == question


def test_a_creeping_change_is_seen_by_the_slow_detector() -> None:
    draw = np.random.default_rng(3)
    scan = Scan(cut([Named("a", "feature", "number")], [draw.normal(size=10_000)]), 1e-4)
    for window in range(100):
        evidence = scan.observe(scan.layout.count([draw.normal(0.002 * window, size=500)]))[0]
        if evidence.alarm:
            break

    assert evidence.alarm
    assert evidence.detector == "slow"
    assert evidence.windows > 1


def test_a_larger_change_is_stronger_evidence() -> None:
    draw = np.random.default_rng(4)
    columns = cut([Named("a", "feature", "number")], [draw.normal(size=10_000)])
    rows = draw.normal(size=1_000)
    strengths = []
    for shift in (0.0, 0.1, 0.2, 0.4, 0.8):
        scan = Scan(columns, 1e-4)
        strengths.append(scan.observe(scan.layout.count([rows + shift]))[0].answer.strength)

    assert strengths == sorted(strengths)
    assert strengths[0] < 1 < strengths[-1]


def test_windows_without_rows_say_nothing() -> None:
    draw = np.random.default_rng(5)
    scan = Scan(cut([Named("a", "feature", "number")], [draw.normal(size=1_000)]), 0.5)
    empty = np.zeros(scan.layout.size, np.int64)
    assert not any(scan.observe(empty)[0].alarm for _ in range(300))


def test_many_columns_share_one_budget() -> None:
    draw = np.random.default_rng(6)
    count = 40
    counted = 0
    for _ in range(6):
        named = [Named(f"f{at}", "feature", "number") for at in range(count)]
        scan = Scan(cut(named, [draw.normal(size=2_000) for _ in named]), BUDGET)
        for _ in range(WINDOWS):
            counted += sum(it.alarm for it in scan.observe(scan.layout.count([draw.normal(size=200) for _ in named])))
    assert counted <= 6 * WINDOWS * BUDGET * 1.6
