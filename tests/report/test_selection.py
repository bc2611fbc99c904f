"""What may be asked for, and what contradicts itself."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.errors import ReportError
from driftline.report.selection import DRAWN_ROWS, ROWS, Selection, TimeRange
from tests.report.events import at

ends = st.none() | st.integers(0, 20).map(at)


def ranges() -> st.SearchStrategy[TimeRange]:
    def ordered(pair: tuple[datetime | None, datetime | None]) -> bool:
        return None in pair or pair[0] < pair[1]  # type: ignore[operator]  # neither is None

    return st.tuples(ends, ends).filter(ordered).map(lambda pair: TimeRange(*pair))


def test_a_range_holds_its_beginning_and_not_its_end() -> None:
    span = TimeRange(at(1), at(3))
    assert [at(second) in span for second in range(5)] == [False, True, True, False, False]


@pytest.mark.parametrize("stop", [1, 0])
def test_an_empty_range_is_an_error(stop: int) -> None:
    with pytest.raises(ReportError, match="empty"):
        TimeRange(at(1), at(stop))


@given(ranges(), ranges())
def test_ranges_overlap_when_a_moment_is_in_both(first: TimeRange, second: TimeRange) -> None:
    shared = any(at(second_) in first and at(second_) in second for second_ in range(-1, 22))
    assert first.overlaps(second) is second.overlaps(first) is shared


@pytest.mark.parametrize(
    ("reference", "current", "says"),
    [
        (TimeRange(at(0), at(10)), TimeRange(at(9), at(20)), "overlap"),
        (TimeRange(at(0)), TimeRange(at(9)), "overlap"),
        (TimeRange(at(0)), None, "no end"),
        (None, TimeRange(stop=at(9)), "no beginning"),
    ],
)
def test_ranges_that_would_put_a_row_in_both_windows_are_an_error(
    reference: TimeRange | None, current: TimeRange | None, says: str
) -> None:
    with pytest.raises(ReportError, match=says):
        Selection(reference_range=reference, current_range=current)


def test_ranges_that_touch_are_fine_in_either_order() -> None:
    before, after = TimeRange(stop=at(9)), TimeRange(start=at(9))
    assert Selection(reference_range=before, current_range=after).by_time
    assert Selection(reference_range=after, current_range=before).by_time


def test_a_reference_is_from_a_file_or_from_a_range() -> None:
    with pytest.raises(ReportError, match="not from both"):
        Selection(reference_range=TimeRange(stop=at(9)), reference_file=Path("reference.csv"))


@pytest.mark.parametrize("rows", [-1, 0, 29])
def test_a_window_of_under_30_rows_is_an_error(rows: int) -> None:
    with pytest.raises(ReportError, match=f"{rows} rows for the current window are too few; 30"):
        Selection(current_rows=rows)
    with pytest.raises(ReportError, match=f"{rows} rows for the reference are too few; 30"):
        Selection(reference_rows=rows)


def test_ends_of_the_log_have_200_rows_and_what_is_drawn_up_to_1000() -> None:
    assert (ROWS, DRAWN_ROWS) == (200, 1000)
    assert (Selection().reference_limit, Selection().current_limit) == (200, 200)
    assert Selection(reference_file=Path("x.csv")).reference_limit == 1000
    assert Selection(current_range=TimeRange(at(0))).current_limit == 1000
    assert Selection(reference_rows=50, reference_file=Path("x.csv")).reference_limit == 50
