"""Which rows a report compares."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from driftline.errors import NotEnoughRowsError, ReportError
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.reader import LogReader
from driftline.report.reading import read_windows, share
from driftline.report.selection import Selection, TimeRange
from driftline.report.windows import Window
from tests.eventlog.lines import open_log
from tests.report.events import MakeLog, at, event, events


class Lines:
    """A log in memory, for properties over many logs."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    @property
    def rows(self) -> int:
        return len(self._lines)

    def numbered(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[tuple[int, bytes]]:
        yield from enumerate(self._lines[start_row:stop_row], start_row)


def numbers(window: Window) -> list[int]:
    """Which events are in a window."""
    return [round(row.features["feature_1"] * 1000) for row in window.predictions]


def feedback(number: int) -> bytes:
    return json.dumps({"kind": "feedback", "timestamp": "2026-11-23T21:00:00Z", "seq": number, "outcome": 1}).encode()


def test_the_first_200_are_compared_with_the_last_200(make_log: MakeLog) -> None:
    windows = read_windows(make_log(events(1000)), Selection())
    assert numbers(windows.reference) == list(range(200))
    assert numbers(windows.current) == list(range(800, 1000))
    assert (windows.reference.span, windows.current.span) == ((0, 200), (800, 1000))
    assert windows.reference.times == (at(0), at(199))
    assert windows.reference.models == ("seed 1",)
    assert windows.notes == ()


def test_a_log_that_was_compacted_gives_the_same_windows(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_max_bytes=30_000)
    for number, one in enumerate(events(1000)):
        writer.append(one + b"\n", 1, {"p": number + 1})
    writer.close()
    middle = at(400)
    by_time = Selection(reference_range=TimeRange(stop=middle), current_range=TimeRange(middle))
    with LogReader(tmp_path) as log:
        before = [read_windows(log, selection) for selection in (Selection(), by_time)]
        assert compact_log(tmp_path).segments > 3
        assert [read_windows(log, selection) for selection in (Selection(), by_time)] == before


def test_other_numbers_of_rows_may_be_asked_for(make_log: MakeLog) -> None:
    windows = read_windows(make_log(events(1000)), Selection(reference_rows=700, current_rows=300))
    assert numbers(windows.reference) == list(range(700))
    assert numbers(windows.current) == list(range(700, 1000))


@pytest.mark.parametrize(("count", "each"), [(399, 199), (150, 75), (60, 30)])
def test_a_log_too_short_for_both_is_halved_and_that_is_said(make_log: MakeLog, count: int, each: int) -> None:
    windows = read_windows(make_log(events(count)), Selection())
    assert numbers(windows.reference) == list(range(each))
    assert numbers(windows.current) == list(range(count - each, count))
    (note,) = windows.notes
    assert f"fewer than 200 + 200 predictions: the windows share what there is, {each} and {each}" in note


def test_a_log_too_short_for_unequal_windows_is_divided_as_they_are(make_log: MakeLog) -> None:
    windows = read_windows(make_log(events(200)), Selection(reference_rows=300, current_rows=100))
    assert (len(windows.reference), len(windows.current)) == (150, 50)
    assert "fewer than 300 + 100 predictions" in windows.notes[0]


@pytest.mark.parametrize("count", [0, 1, 59])
def test_under_60_predictions_are_an_error_that_names_both_numbers(make_log: MakeLog, count: int) -> None:
    with pytest.raises(NotEnoughRowsError, match=rf"has {count} predictions; .* at least 60"):
        read_windows(make_log(events(count)), Selection())


@given(st.integers(60, 5000), st.integers(30, 3000), st.integers(30, 3000))
@example(60, 3000, 30)
def test_shares_never_overlap_never_exceed_what_was_wanted_and_use_what_there_is(
    total: int, reference: int, current: int
) -> None:
    if total >= reference + current:
        return
    shares = share(total, (reference, current))
    assert total - 1 <= sum(shares) <= total
    assert 30 <= shares[0] <= reference
    assert 30 <= shares[1] <= current


@given(st.lists(st.integers(0, 2), min_size=60, max_size=300), st.integers(30, 80), st.integers(30, 80))
def test_only_predictions_count_wherever_other_kinds_stand(kinds: list[int], first: int, last: int) -> None:
    lines = [event(row) if kind else feedback(row) for row, kind in enumerate(kinds)]
    expected = [row for row, kind in enumerate(kinds) if kind]
    selection = Selection(reference_rows=first, current_rows=last)
    if len(expected) < 60:
        with pytest.raises(NotEnoughRowsError, match=f"has {len(expected)} predictions"):
            read_windows(Lines(lines), selection)
        return
    windows = read_windows(Lines(lines), selection)
    if len(expected) >= first + last:
        assert numbers(windows.reference) == expected[:first]
        assert numbers(windows.current) == expected[-last:]
    else:
        assert numbers(windows.reference) == expected[: len(windows.reference)]
        assert numbers(windows.current) == expected[-len(windows.current) :]
        assert len(windows.reference) + len(windows.current) <= len(expected)


def test_both_windows_may_be_time_ranges(make_log: MakeLog) -> None:
    selection = Selection(reference_range=TimeRange(at(100), at(400)), current_range=TimeRange(at(500), at(550)))
    windows = read_windows(make_log(events(1000)), selection)
    assert numbers(windows.reference) == list(range(100, 400))
    assert numbers(windows.current) == list(range(500, 550))
    assert windows.reference.out_of == 300


def test_of_a_long_range_rows_are_drawn_from_all_of_it(make_log: MakeLog) -> None:
    selection = Selection(60, 40, TimeRange(at(0), at(500)), TimeRange(at(500)))
    windows = read_windows(make_log(events(1000)), selection)
    drawn = numbers(windows.reference)
    assert len(drawn) == 60
    assert drawn == sorted(drawn)
    assert min(drawn) < 100
    assert max(drawn) >= 400
    assert (windows.reference.out_of, windows.current.out_of) == (500, 500)
    assert windows == read_windows(make_log(events(1000)), selection)


def test_with_a_range_for_the_reference_the_last_rows_come_from_after_it(make_log: MakeLog) -> None:
    log = make_log(events(1000))
    windows = read_windows(log, Selection(reference_range=TimeRange(stop=at(950))))
    assert numbers(windows.current) == list(range(950, 1000))
    assert "the current window has 50 of the 200 rows it should have" in windows.notes[0]
    windows = read_windows(log, Selection(reference_range=TimeRange(at(100), at(200))))
    assert numbers(windows.current) == list(range(800, 1000))


def test_with_a_range_for_the_current_window_the_first_rows_come_from_before_it(make_log: MakeLog) -> None:
    windows = read_windows(make_log(events(1000)), Selection(current_range=TimeRange(at(100))))
    assert numbers(windows.reference) == list(range(100))
    assert min(numbers(windows.current)) >= 100


def test_the_time_decides_even_where_an_event_came_late(make_log: MakeLog) -> None:
    late = [event(number) for number in [*range(100, 200), *range(100)]]
    windows = read_windows(make_log(late), Selection(reference_range=TimeRange(stop=at(100))))
    assert sorted(numbers(windows.reference)) == list(range(100))
    assert sorted(numbers(windows.current)) == list(range(100, 200))


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection(reference_range=TimeRange(stop=at(29))), "the reference has 29 predictions; .* at least 30"),
        (Selection(current_range=TimeRange(at(971))), "the current window has 29 predictions; .* at least 30"),
        (Selection(current_range=TimeRange(at(2000))), "the current window has 0 predictions; .* at least 30"),
    ],
)
def test_a_range_with_too_few_rows_is_an_error(make_log: MakeLog, selection: Selection, says: str) -> None:
    with pytest.raises(NotEnoughRowsError, match=says):
        read_windows(make_log(events(1000)), selection)


def test_a_model_may_be_chosen_among_others_and_challengers_never_count(make_log: MakeLog) -> None:
    lines = [
        event(number, model=f"model {number % 2}", kind="shadow" if number % 5 == 0 else "prediction")
        for number in range(500)
    ]
    windows = read_windows(make_log(lines), Selection(model="model 1", reference_rows=50, current_rows=50))
    own = [number for number in range(500) if number % 2 and number % 5]
    assert numbers(windows.reference) == own[:50]
    assert numbers(windows.current) == own[-50:]


def test_a_change_of_the_model_is_said(make_log: MakeLog) -> None:
    lines = [event(number, model_version="1" if number < 300 else "2") for number in range(600)]
    (note,) = read_windows(make_log(lines), Selection()).notes
    assert "the model changed: seed 1 in the reference, seed 2 in the current window" in note


def test_a_big_reference_against_a_small_window_is_warned_of(make_log: MakeLog) -> None:
    log = make_log(events(3000))
    (note,) = read_windows(log, Selection(reference_rows=1500)).notes
    assert "a current window of 200 rows makes unsteady" in note
    assert read_windows(log, Selection(reference_rows=1500, current_rows=1000)).notes == ()


@pytest.mark.parametrize(
    "line", [b"[]", b"{", b"\xff", b'{"kind": "prediction"}', b'{"kind": "prediction", "timestamp": "2026-11-23"}']
)
def test_a_line_that_is_no_event_is_an_error_that_names_its_row(make_log: MakeLog, line: bytes) -> None:
    with pytest.raises(ReportError, match="row 50 of the log is not an event"):
        read_windows(make_log([*events(50), line, *events(950)]), Selection())


def test_reading_tells_how_far_it_is(make_log: MakeLog) -> None:
    told: list[tuple[int, int]] = []
    read_windows(make_log(events(2500)), Selection(current_range=TimeRange(at(2000))), lambda *news: told.append(news))
    assert told == [(0, 2500), (1000, 2500), (2000, 2500)]
