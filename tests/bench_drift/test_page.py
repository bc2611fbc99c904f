"""What counts as a goal that is reached, and what the page shows."""

from typing import Any

import pytest

from bench_drift import page
from bench_drift.goals import goals
from bench_drift.measure import Delays
from bench_drift.names import ADWIN, ALL, CHANGES, CREEPS, MATCHED, MEANS, NULLS, OTHERS, OURS, SHUFFLED
from bench_drift.streams import SIZES, Size

SIZE = SIZES[2]


def results() -> dict[str, Any]:
    """Results by which all goals are reached: ADWIN is slow, the others take one window."""
    return {
        "date": "2026-11-25",
        "seed": 1,
        "short": False,
        "took_s": 600,
        "machine": {"cpu": "A processor", "cores": 2},
        "versions": {"Python": "3.11.2"},
        "budgets": {OURS: dict.fromkeys(map(str, SIZES), 0.002), MATCHED: dict.fromkeys(map(str, SIZES), 0.001)},
        "nulls": {
            str(size): {name: {it: {"alarms": 1, "windows": 1000} for it in ALL} for name in NULLS} for size in SIZES
        },
        "changes": {
            str(size): {
                name: {it: {"rows": [size.window_rows * (1 + (it == ADWIN))] * 3, "missed": 0} for it in ALL}
                for name in CHANGES
            }
            for size in SIZES
        },
        "series": [{"series": "s", "size": str(SIZE), "rows": 5000, "first_alarm": dict.fromkeys(ALL)}],
        "costs": {str(size): {it: {"ns_a_row": 41.0, "state_bytes": 1234} for it in ALL} for size in SIZES},
    }


def missed(found: dict[str, Any]) -> list[int]:
    return [len(goal.misses) for goal in goals(found)]


def test_every_case_is_looked_at() -> None:
    cases = [goal.cases for goal in goals(results())]

    assert cases == [4 * len(NULLS), 4, 4 * len(MEANS), 4 * len(OTHERS), 4 * len(CREEPS)]
    assert missed(results()) == [0] * 5


@pytest.mark.parametrize("detector", [OURS, MATCHED])
def test_an_alarm_more_than_the_budget_misses_the_goal(detector: str) -> None:
    found = results()
    counted = found["nulls"][str(SIZE)][SHUFFLED][detector]
    counted["alarms"] = round(found["budgets"][detector][str(SIZE)] * 1000)
    assert missed(found) == [0] * 5

    counted["alarms"] += 1
    assert missed(found) == [int(detector == OURS), int(detector == MATCHED), 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "ours", "adwin", "reached"),
    [
        (MEANS[0], 1000, 300, True),  # one window
        (MEANS[0], 2000, 2000, True),
        (MEANS[0], 2000, 1999, False),
        (OTHERS[0], 1000, 1001, True),
        (OTHERS[0], 1000, 1000, False),
        (next(iter(CREEPS)), 2000, 2000, True),
        (next(iter(CREEPS)), 2000, 1999, False),
    ],
)
def test_a_delay_is_held_against_adwins(change: str, ours: int, adwin: int, reached: bool) -> None:
    found = results()
    found["changes"][str(SIZE)][change][MATCHED]["rows"] = [ours]
    found["changes"][str(SIZE)][change][ADWIN]["rows"] = [adwin]

    assert sum(missed(found)) == (0 if reached else 1)


def test_never_is_not_sooner_than_never() -> None:
    found = results()
    for detector in (MATCHED, ADWIN):
        found["changes"][str(SIZE)][OTHERS[0]][detector] = {"rows": [], "missed": 3}

    assert missed(found) == [0, 0, 0, 1, 0]


def test_a_delay_is_shown_in_rows_and_windows_with_what_was_missed() -> None:
    assert page.delay(Delays([112, 208, 400]), Size(1000, 200)) == "208 (2)"
    assert page.delay(Delays([200, 400, 1000], missed=1), Size(1000, 200)) == "700 (3.5), 25% missed"
    assert page.delay(Delays([200], missed=3), Size(1000, 200)) == "never, 75% missed"


def test_a_miss_that_no_window_could_have_helped_is_told_apart() -> None:
    found = results()
    found["changes"][str(SIZE)][OTHERS[0]][ADWIN]["rows"] = [999]

    assert [goal.misses for goal in goals(found)][3] == (
        f"{SIZE}, {OTHERS[0]}: 1,000 rows, ADWIN 999 rows, within the first window",
    )


def test_the_page_says_what_is_missed_and_what_it_was_measured_on() -> None:
    found = results()
    assert "missed at" not in page.as_markdown(found)

    found["changes"][str(SIZE)][MEANS[0]][MATCHED] = {"rows": [], "missed": 3}
    markdown = page.as_markdown(found)

    assert f"    - {SIZE}, {MEANS[0]}: never, ADWIN 2,000 rows" in markdown
    assert "A processor, 2 cores, in 10 minutes; seed 1; Python 3.11.2" in markdown
    assert "| 10,000 / 1,000 | ns a row | 41 |" in markdown
