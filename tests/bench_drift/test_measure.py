"""Alarms are counted by windows, and delays in rows from the change on."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from bench_drift.detector import Rows
from bench_drift.measure import PIECE_ROWS, QUIET_WINDOWS, Delays, count_alarms, time_to_alarm
from bench_drift.streams import Size, Stream, shift

SIZE = Size(1000, 500)
RNG = np.random.default_rng(0)


def zeros(rng: np.random.Generator, size: Size) -> Stream:
    def windows() -> Iterator[Rows]:
        for _ in range(QUIET_WINDOWS + 8):
            yield np.zeros(size.window_rows)

    return Stream(np.zeros(size.reference_rows), windows())


class Watcher:
    """Alarms when it has seen so many rows above 0; starts again after an alarm. Or at each of some windows."""

    def __init__(self, wanted: int, *, by_row: bool = False, forgets: bool = False, always: bool = False) -> None:
        self.wanted, self.by_row, self.forgets, self.always = wanted, by_row, forgets, always
        self.seen_windows, self.high, self.shown = 0, 0, 0

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        self.fitted = (len(reference), window_rows, categorical)

    def observe(self, window: Rows) -> int:
        self.seen_windows += 1
        self.shown += len(window)
        before, self.high = self.high, self.high + int((window > 0).sum())
        if self.always:
            return len(window)
        if self.high < self.wanted:
            return 0
        self.high = 0
        return self.wanted - before if self.by_row else len(window)

    def state_bytes(self) -> int:
        return 0


def delay(watcher: Watcher, horizon: int = 8) -> Delays:
    return time_to_alarm(zeros, shift(1), SIZE, {"it": lambda: watcher}, RNG, horizon=horizon)["it"]


@pytest.mark.parametrize(("wanted", "rows"), [(1, 500), (500, 500), (501, 1000), (4000, 4000)])
def test_who_judges_windows_alarms_at_the_end_of_one(wanted: int, rows: int) -> None:
    assert delay(Watcher(wanted)) == Delays([rows])


@pytest.mark.parametrize("wanted", [1, PIECE_ROWS, PIECE_ROWS + 1, 499, 500, 501, 4000])
def test_who_sees_row_after_row_alarms_within_one(wanted: int) -> None:
    assert delay(Watcher(wanted, by_row=True)) == Delays([wanted])


def test_who_has_alarmed_is_shown_no_more() -> None:
    watcher = Watcher(1, by_row=True)
    delay(watcher)

    assert watcher.shown == QUIET_WINDOWS * SIZE.window_rows + PIECE_ROWS


def test_a_change_that_is_not_seen_within_the_horizon_is_missed() -> None:
    assert delay(Watcher(1501), horizon=3) == Delays(missed=1)
    assert delay(Watcher(1500), horizon=3) == Delays([1500])


def test_the_windows_before_the_change_are_shown_but_their_alarms_do_not_count() -> None:
    watcher, forgetful = Watcher(1, always=True), Watcher(1, always=True, forgets=True)

    assert delay(watcher) == delay(forgetful) == Delays([500])
    assert (watcher.seen_windows, forgetful.seen_windows) == (QUIET_WINDOWS + 1, 1)
    assert watcher.fitted == (1000, 500, False)


def test_a_stream_that_ends_early_is_missed_too() -> None:
    assert delay(Watcher(4001), horizon=100) == Delays(missed=1)


def test_false_alarms_are_windows_with_one() -> None:
    found = count_alarms(zeros, SIZE, {"calm": lambda: Watcher(1), "wild": lambda: Watcher(1, always=True)}, RNG, 6)

    assert {name: (it.alarms, it.windows) for name, it in found.items()} == {"calm": (0, 6), "wild": (6, 6)}


def test_the_median_counts_a_missed_change_as_an_endless_delay() -> None:
    assert Delays([300, 100, 200]).median_rows() == 200
    assert Delays([300, 100]).median_rows() == 200
    assert Delays([300, 100], missed=1).median_rows() == 300
    assert Delays([300, 100], missed=2).median_rows() == math.inf
    assert Delays([100], missed=2).median_rows() == math.inf
