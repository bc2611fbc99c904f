"""The store stays small: old cells are sums by the hour, and nothing that was counted is lost by it."""

import json
import sqlite3

import numpy as np
import pytest

from driftline.drift.profile import Profile, decode_profile
from driftline.monitor import follow, rollup
from driftline.monitor.fold import Folder, Slicing
from driftline.monitor.judge import ALL, HOUR_US, ROLLED
from driftline.monitor.rollup import prune, roll_up
from driftline.monitor.store import CellKey
from tests.monitor.conftest import PLAN, Watch
from tests.monitor.logs import PRODUCERS, START_US, US, Event, event, events
from tests.monitor.test_follow import put_reference

DAY_S = 86_400
EVERYTHING = (-(1 << 62), 1 << 62)
NOT_JUDGED = {ALL: 1 << 62}


def steady(days: float, *, every_s: float = 60, shift: float = 0, seed: int = 1) -> list[Event]:
    return events(round(days * DAY_S / every_s), every_s=every_s, seed=seed, shift=shift)


def reference_of(watch: Watch) -> Profile:
    return decode_profile(watch.reference.read_bytes())


def encoded(each: Event) -> bytes:
    return json.dumps(each).encode()


def total(watch: Watch, segment: str | None = None) -> list[int]:
    """The sum of all cells and hours."""
    parts = [*watch.store.cells(*EVERYTHING, segment).values(), *watch.store.hours(*EVERYTHING, segment).values()]
    counts: list[int] = np.sum([part.counts for part in parts], axis=0).tolist()
    return counts


def test_old_cells_become_hours_and_every_sum_stays_what_it_was(watch: Watch) -> None:
    put_reference(watch)
    watch.plan = PLAN._replace(
        slicing=Slicing(width_us=420 * US), segment_by="feature_1"
    )  # 7 minutes: no part of an hour
    watch.begin()
    found = steady(2.6)
    for at, each in enumerate(found):
        each["producer"] = PRODUCERS[at % 2]
    watch.log.add(found)
    watch.go_on(2.6 * DAY_S)
    cells = watch.store.cells(*EVERYTHING)
    hours = watch.store.hours(*EVERYTHING)
    assert min(cells) * 420 * US >= START_US + 0.55 * DAY_S * US
    assert len(hours) == pytest.approx(14, abs=1)
    assert sum(held.rows for held in [*cells.values(), *hours.values()]) == len(found)
    in_hours = [each for each in found if each["timestamp"] < "2026-11-24T00"]
    for hour in (0, 1, 2):
        held = hours[START_US // HOUR_US + hour]
        assert START_US + hour * HOUR_US <= held.start_us <= held.stop_us < START_US + (hour + 1) * HOUR_US + 420 * US
    first_three = [hours[START_US // HOUR_US + hour] for hour in (0, 1, 2)]
    assert abs(sum(held.rows for held in first_three) - len(in_hours)) <= 7
    whole = total(watch)
    parts = [total(watch, name) for name in watch.store.segments()]
    assert np.sum(parts, axis=0).tolist() == whole
    watch.store.connection.execute("DELETE FROM meta")
    watch.begin()
    watch.go_on(60)
    assert watch.store.hours(*EVERYTHING) == {}
    assert total(watch) == whole


def test_a_cell_that_no_window_has_taken_in_stays(watch: Watch) -> None:
    put_reference(watch)
    watch.go_on(0)
    folder = Folder(watch.store, reference_of(watch), Slicing(width_us=60 * US), "predicted_class")
    lines = [encoded(each) for each in steady(0.2)]
    folder.fold(list(enumerate(lines)), len(lines))
    cell = START_US // (60 * US)
    rare = next(name for name in watch.store.segments() if name.endswith("=0"))
    roll_up(watch.store, 60 * US, START_US + 4 * HOUR_US, {ALL: cell + 120, rare: cell + 60})
    kept = watch.store.cells_apart(*EVERYTHING)
    assert cell + 60 <= min(key.cell for key in kept if key.segment == rare) < cell + 75
    assert cell + 120 <= min(key.cell for key in kept if key.segment != rare) < cell + 135
    assert sum(held.rows for held in watch.store.hours(*EVERYTHING).values()) + watch.store.rows(*EVERYTHING) == len(
        lines
    )


def test_what_comes_after_its_hour_was_rolled_up_is_added_to_it_the_next_time(watch: Watch) -> None:
    put_reference(watch)
    watch.log.add(steady(3))
    watch.go_on(3 * DAY_S)
    first = START_US // HOUR_US
    before = watch.store.hours(first, first + 1)[first]
    watch.log.add([event(START_US, 0.0, 0.0)])
    watch.go_on(3 * DAY_S + 60)
    assert watch.store.rows(START_US // (60 * US), START_US // (60 * US) + 1) == 1
    watch.log.add(events(60, first_s=3 * DAY_S + 120))
    watch.go_on(3 * DAY_S + 2 * 3600)
    after = watch.store.hours(first, first + 1)[first]
    assert after.rows == before.rows + 1
    assert after.counts.sum() == before.counts.sum() + 4


def test_a_disk_that_refuses_leaves_each_row_in_one_place(watch: Watch) -> None:
    put_reference(watch)
    watch.go_on(0)
    folder = Folder(watch.store, reference_of(watch), Slicing(width_us=60 * US))
    lines = [encoded(each) for each in steady(0.2)]
    folder.fold(list(enumerate(lines)), len(lines))
    hour = START_US // HOUR_US
    watch.store.connection.execute(
        f"CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.hours WHEN new.hour = {hour + 2} "
        "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
    )
    whole = total(watch)
    with pytest.raises(sqlite3.Error, match="disk I/O error"):
        roll_up(watch.store, 60 * US, START_US + 4 * HOUR_US, NOT_JUDGED)
    assert sorted(watch.store.hours(*EVERYTHING)) == [hour, hour + 1]
    assert total(watch) == whole
    watch.store.connection.execute("DROP TRIGGER refuse")
    roll_up(watch.store, 60 * US, START_US + 4 * HOUR_US, NOT_JUDGED)
    assert sorted(watch.store.hours(*EVERYTHING)) == [hour, hour + 1, hour + 2, hour + 3]
    assert total(watch) == whole


def test_a_slow_change_is_traced_back_into_hours(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "STEP_ROWS", 1000)  # so that hours are rolled up on the way
    put_reference(watch, rows=5000)
    watch.plan = PLAN._replace(slicing=Slicing(width_us=1800 * US))
    watch.begin()
    before = steady(2, every_s=20)
    after = events(5 * 4320, first_s=2 * DAY_S, every_s=20, seed=3, shift=0.12)
    watch.log.add([*before, *after])
    watch.go_on(7 * DAY_S)
    assert int(watch.store.meta()[ROLLED]) * 1800 * US > START_US + 4 * DAY_S * US
    found = watch.store.connection.execute(
        "SELECT since_us, stop_us, span_windows FROM verdicts JOIN windows USING (window) "
        "WHERE name = 'feature_1' AND verdicts.state = 'alarm'"
    ).fetchall()
    # The change, or the beginning of the span, if that is later; either is behind what is kept in cells.
    errors_days = [
        (since_us - max(START_US + 2 * DAY_S * US, stop_us - windows * 1800 * US)) / US / DAY_S
        for since_us, stop_us, windows in found
        if windows * 1800 > 2.9 * DAY_S and stop_us > START_US + 5.5 * DAY_S * US
    ]
    assert errors_days
    assert max(map(abs, errors_days)) < 0.75, errors_days


def test_old_quiet_windows_are_forgotten_but_for_the_last(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "QUIET_KEPT_US", 24 * HOUR_US)
    monkeypatch.setattr(rollup, "MOST_WINDOWS_LOOKED_BACK", 30)
    put_reference(watch)
    watch.plan = PLAN._replace(slicing=Slicing(width_us=HOUR_US))
    watch.begin()
    found = steady(4)
    for each in found[:600]:
        each["features"]["feature_1"] += 3
    watch.log.add(found)
    watch.go_on(4 * DAY_S)
    count = watch.store.connection.execute(
        "SELECT verdicts.state, count(*) FROM verdicts JOIN windows USING (window) WHERE stop_us < ? GROUP BY 1",
        (START_US + (3 * DAY_S - 3600) * US,),
    )
    states = dict(count.fetchall())
    assert set(states) == {"alarm"}
    assert states["alarm"] >= 10
    hours = [start // 60 for start, _, _ in watch.windows()]
    assert hours[:10] == list(range(10))
    assert len([hour for hour in hours if hour < 60]) < 40
    assert hours[-30:] == list(range(66, 96))
    assert sum(held.rows for held in watch.store.cells(*EVERYTHING).values()) == len(found)
    prune(watch.store, START_US + 60 * DAY_S * US)
    assert [start // 60 for start, _, _ in watch.windows()][-30:] == hours[-30:]


def test_an_hour_is_kept_by_version_segment_and_producer(watch: Watch) -> None:
    put_reference(watch)
    watch.go_on(0)
    folder = Folder(watch.store, reference_of(watch), Slicing(width_us=60 * US))
    found = [
        event(START_US + at * US, 0.0, 0.0, producer=PRODUCERS[at % 3], model_version=str(at % 2)) for at in range(600)
    ]
    folder.fold([(row, encoded(each)) for row, each in enumerate(found)], 600)
    assert roll_up(watch.store, 60 * US, START_US + HOUR_US, NOT_JUDGED) == 60
    for version in "01":
        for producer in PRODUCERS:
            held = watch.store.hour(CellKey(START_US // HOUR_US, version, "", producer))
            assert held is not None
            assert held.rows == 100
