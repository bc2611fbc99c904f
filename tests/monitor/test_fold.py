"""Each line is counted once, in its own cell, in whatever order and batches it comes, and whatever is interrupted."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.layout import Layout
from driftline.drift.profile import Profile
from driftline.errors import ProfileError
from driftline.eventlog.reader import LogReader
from driftline.monitor.fold import OTHER, Folder, Segments, Slicing
from driftline.monitor.store import FILE_NAME, MonitorStore
from tests.monitor.logs import (
    NONE_OF_OURS,
    PRODUCERS,
    START_US,
    US,
    Event,
    PredictionLog,
    event,
    events,
    profile_of,
    recount,
    stored,
)

WIDTH_US = 60 * US
BY_MINUTE = Slicing(width_us=WIDTH_US)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """Of a thousand rows."""
    log_dir = tmp_path_factory.mktemp("reference") / "logs"
    with PredictionLog(log_dir) as log:
        log.add(events(1000))
    return profile_of(log_dir, 0, 1000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MonitorStore]:
    with MonitorStore(tmp_path / FILE_NAME, create=True) as made:
        yield made


def lines(found: list[Event], first: int = 0) -> list[tuple[int, bytes]]:
    return [(row, json.dumps(each).encode()) for row, each in enumerate(found, first)]


def mixed(rows: int) -> list[Event]:
    """Two versions, three producers, missing values, values out of range, classes that the reference has not."""
    random = np.random.default_rng(1)
    values = random.normal(scale=2, size=(rows, 2))
    found = []
    for at, (one, two) in enumerate(values.tolist()):
        at_us = START_US + int(random.integers(0, 600 * US))
        each = event(
            at_us,
            None if at % 7 == 0 else one,
            two,
            producer=PRODUCERS[at % 3],
            model_version=str(1 + at % 2),
        )
        if at % 11 == 0:
            del each["features"]["feature_2"]
        if at % 13 == 0:
            each["predicted_class"] = None if at % 2 else 7
        found.append(each)
    return found


def test_counts_are_those_of_a_plain_recount_of_the_log(profile: Profile, store: MonitorStore, tmp_path: Path) -> None:
    found = mixed(3000)
    with PredictionLog(tmp_path / "logs") as log:
        for at in range(0, len(found), 700):
            log.add(found[at : at + 700])
    folder = Folder(store, profile, BY_MINUTE)
    with LogReader(tmp_path / "logs") as reader:
        folder.fold(reader.numbered(), reader.rows)
    assert stored(store) == recount(found, profile, WIDTH_US)
    assert sum(cell.rows for cell in store.cells(0, 1 << 62).values()) == len(found) == folder.ordinal
    assert store.meta()["position_row"] == "3000"


@given(st.permutations(range(40)), st.sets(st.integers(1, 39)), st.booleans())
def test_rebuilt_in_another_order_and_other_batches_the_counts_are_identical(
    profile: Profile, tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: set[int], restart: bool
) -> None:
    found = mixed(40)
    arrived = lines([found[at] for at in order])
    with MonitorStore(tmp_path_factory.mktemp("store") / FILE_NAME, create=True) as store:
        folder = Folder(store, profile, BY_MINUTE, "feature_1")
        begin = 0
        for stop in [*sorted(cuts), len(arrived)]:
            folder.fold(arrived[begin:stop], stop)
            if restart:
                folder = Folder(store, profile, BY_MINUTE, "feature_1")
            assert folder.position_row == folder.ordinal == stop
            begin = stop
        assert stored(store) == recount(found, profile, WIDTH_US)


def test_a_late_event_is_counted_in_the_cell_of_its_own_time(profile: Profile, store: MonitorStore) -> None:
    folder = Folder(store, profile, BY_MINUTE)
    folder.fold(lines(events(10, first_s=600)), 10)
    folder.fold(lines([event(START_US, 0.0, 0.0)], 10), 11)
    cells = store.cells(0, 1 << 62)
    assert [cells[number].rows for number in sorted(cells)] == [1, 10]
    assert min(cells) == START_US // WIDTH_US
    late = cells[min(cells)]
    assert (late.start_us, late.stop_us, late.first_row, late.stop_row) == (START_US, START_US, 10, 11)


def test_cells_of_rows_have_as_many_whatever_the_batches(profile: Profile, store: MonitorStore) -> None:
    found = events(250)
    folder = Folder(store, profile, Slicing(rows=100))
    for begin in range(0, 250, 70):
        folder.fold(lines(found[begin : begin + 70], begin), min(begin + 70, 250))
        folder = Folder(store, profile, Slicing(rows=100))
    assert {number: cell.rows for number, cell in store.cells(0, 1 << 62).items()} == {0: 100, 1: 100, 2: 50}


def test_what_is_no_prediction_of_the_model_is_counted_apart(profile: Profile, store: MonitorStore) -> None:
    folder = Folder(store, profile, BY_MINUTE)
    others = [*NONE_OF_OURS, json.dumps(event(START_US, 0.0, 0.0, model="another")).encode()]
    read = folder.fold([*enumerate(others), *lines(events(3), len(others))], len(others) + 3)
    assert [row for row, _ in read.feedback] == [0]
    assert (read.foreign, read.unreadable, len(read.rows.times_us)) == (2, 3, 3)
    folder.fold([(9, b"")], 10)
    assert {name: store.meta()[name] for name in ("foreign", "unreadable", "ordinal", "position_row")} == {
        "foreign": "2", "unreadable": "4", "ordinal": "3", "position_row": "10",
    }  # fmt: skip
    assert sum(cell.rows for cell in store.cells(0, 1 << 62).values()) == 3


@pytest.mark.parametrize("wrong", ["2026-13-01T00:00:00Z", "NaTZ", "yesterday", "1969-12-31T23:59:59Z", "", "Z"])
def test_a_line_without_a_time_spoils_no_other(profile: Profile, store: MonitorStore, wrong: str) -> None:
    found = [*events(3), event(START_US, 0.0, 0.0, timestamp=wrong), *events(3, first_s=3)]
    read = Folder(store, profile, BY_MINUTE).fold(lines(found), 7)
    assert (read.unreadable, len(read.rows.times_us)) == (1, 6)
    assert sum(cell.rows for cell in store.cells(0, 1 << 62).values()) == 6


@pytest.mark.parametrize("value", ["1.5", [1.0], {"a": 1}, None])
def test_what_is_no_number_is_missing_alone_and_among_others(profile: Profile, store: MonitorStore, value: Any) -> None:
    folder = Folder(store, profile, BY_MINUTE)
    odd = {**event(START_US, 0.0, 0.0), "features": {"feature_1": value, "feature_2": 0.0}}
    folder.fold(lines([odd, odd]), 2)
    folder.fold(lines([odd, event(START_US, 0.0, 0.0)], 2), 4)
    (cell,) = store.cells(0, 1 << 62).values()
    assert cell.counts[0] == 3


def test_what_no_float_can_hold_lies_outside(profile: Profile, store: MonitorStore) -> None:
    huge = json.dumps(event(START_US, 0.0, 0.0)).replace('"feature_1": 0.0', f'"feature_1": -1{"0" * 400}').encode()
    Folder(store, profile, BY_MINUTE).fold([(0, huge)], 1)
    (cell,) = store.cells(0, 1 << 62).values()
    assert cell.counts[1] == 1


class TestInterrupted:
    """The disk refuses in the middle, and the same lines come again."""

    def test_a_write_that_fails_counts_nothing_of_its_batch(self, profile: Profile, store: MonitorStore) -> None:
        found = mixed(300)
        folder = Folder(store, profile, BY_MINUTE)
        folder.fold(lines(found[:100]), 100)
        before = stored(store)
        store.connection.execute(
            "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.meta WHEN new.key = 'position_row' "
            "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        )
        for _ in range(2):
            with pytest.raises(sqlite3.Error, match="disk I/O error"):
                folder.fold(lines(found[100:200], 100), 200)
            assert stored(store) == before
            assert folder.position_row == 100
        store.connection.execute("DROP TRIGGER refuse")
        folder.fold(lines(found[100:], 100), 300)
        assert stored(store) == recount(found, profile, WIDTH_US)

    def test_a_full_disk_counts_nothing_of_its_batch(self, profile: Profile, store: MonitorStore) -> None:
        found = mixed(2000)
        folder = Folder(store, profile, BY_MINUTE)
        folder.fold(lines(found[:10]), 10)
        pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
        store.connection.execute(f"PRAGMA max_page_count = {pages}")
        before = stored(store)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            folder.fold(lines(found[10:], 10), 2000)
        assert stored(store) == before
        store.connection.execute("PRAGMA max_page_count = 100000")
        folder.fold(lines(found[10:], 10), 2000)
        assert stored(store) == recount(found, profile, WIDTH_US)

    def test_a_commit_that_fails_leaves_no_transaction_behind(self, store: MonitorStore) -> None:
        store.connection.executescript(
            "PRAGMA foreign_keys = ON; CREATE TABLE one (x PRIMARY KEY);"
            "CREATE TABLE other (x REFERENCES one DEFERRABLE INITIALLY DEFERRED);"
        )
        with pytest.raises(sqlite3.IntegrityError), store.transaction():
            store.connection.execute("INSERT INTO other VALUES (1)")
        with store.transaction():
            store.put_meta({"a": "b"})
        assert store.meta() == {"a": "b"}


class TestSegments:
    """Traffic divided by the values of a column."""

    def test_a_number_divides_into_quarters_of_the_reference(self, profile: Profile, store: MonitorStore) -> None:
        found = events(2000, seed=5)
        Folder(store, profile, BY_MINUTE, "feature_1").fold(lines(found), 2000)
        rows = {name: store.rows(0, 1 << 62, name) for name in store.segments()}
        assert sorted(rows) == sorted(set(Segments(profile, "feature_1").labels) - {OTHER})
        assert len(rows) == 4
        assert all(400 < count < 600 for count in rows.values()), rows
        assert sum(rows.values()) == 2000
        lowest = [each for each in found if each["features"]["feature_1"] < -0.8]
        name = next(name for name in rows if "up to" in name)
        assert rows[name] >= len(lowest)

    def test_a_category_divides_into_its_values_and_the_rest(self, profile: Profile, store: MonitorStore) -> None:
        found = [
            event(START_US, 0.0, 0.0, predicted_class=kind, producer=PRODUCERS[at % 2])
            for at, kind in enumerate([0, 1, 1, 1.0, True, None, 9])
        ]
        Folder(store, profile, BY_MINUTE, "predicted_class").fold(lines(found), len(found))
        assert {name: store.rows(0, 1 << 62, name) for name in store.segments()} == {
            "predicted_class=0": 1,
            "predicted_class=1": 4,
            OTHER: 2,
        }
        assert store.rows(0, 1 << 62) == 7

    def test_all_traffic_is_the_sum_of_its_segments(self, profile: Profile, store: MonitorStore) -> None:
        found = mixed(500)
        Folder(store, profile, BY_MINUTE, "feature_1").fold(lines(found), 500)
        assert stored(store) == recount(found, profile, WIDTH_US)
        parts = [store.cells(0, 1 << 62, name) for name in store.segments()]
        whole = store.cells(0, 1 << 62)
        for number, cell in whole.items():
            own = [part[number].counts for part in parts if number in part]
            assert np.sum(own, axis=0).tolist() == cell.counts.tolist()

    def test_a_column_that_is_not_there_is_named(self, profile: Profile) -> None:
        with pytest.raises(ProfileError, match="no column feature_9"):
            Segments(profile, "feature_9")


def test_counts_survive_being_packed(store: MonitorStore, profile: Profile) -> None:
    folder = Folder(store, profile, BY_MINUTE)
    folder.fold(lines(events(1)), 1)
    (cell,) = store.cells(0, 1 << 62).values()
    assert cell.counts.dtype == np.int64
    assert len(cell.counts) == Layout(profile.columns).size
