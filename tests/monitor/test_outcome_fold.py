"""Outcomes find their predictions, whatever came first, and what is counted depends on the log alone."""

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.package import seed_schema
from driftline.drift.profile import Profile, encode_profile
from driftline.eventlog.reader import LogReader
from driftline.monitor import finder as finder_module
from driftline.monitor.finder import Finder, made_us
from driftline.monitor.fold import Folder, Slicing
from driftline.monitor.follow import Follower, Plan
from driftline.monitor.judge import ROLLED
from driftline.monitor.outcome_fold import UNKNOWN, UNREADABLE, OutcomeFold, merged
from driftline.monitor.outcomes import Outcome, Outcomes, Scope
from driftline.monitor.sources import profile_of_log
from driftline.monitor.store import OF_THE_FOLD, MonitorStore
from driftline.quality.counting import TWO_CLASSES
from driftline.quality.delay import DAY_US, HOUR_US, MATURITIES_US, MINUTE_US, label_delays
from driftline.quality.tally import Labelled, Scored, tally_labelled
from tests.monitor.feedback_log import START_US, Event, drawn, feedback, prediction, request_id, write

ROWS = 800
BY_TIME = Slicing(width_us=10_000_000)
ALL = Scope(0, 1 << 60)


class World:
    """A log, and a store that its lines are folded into."""

    def __init__(
        self, folder: Path, events: Sequence[Event], slicing: Slicing = BY_TIME, segment_by: str | None = None
    ):
        self.folder = folder
        self._events = len(events)
        write(folder / "logs", events)
        self.slicing, self.segment_by = slicing, segment_by
        with LogReader(folder / "logs") as log:
            self.profile: Profile = profile_of_log(log, seed_schema(), 0, log.rows)
        self.store = self.new_store("monitor.sqlite")
        self.outcomes = Outcomes(self.store, TWO_CLASSES)

    def new_store(self, name: str) -> MonitorStore:
        store = MonitorStore(self.folder / name, create=True)
        store.adopt(self.profile.profile_id, encode_profile(self.profile), provisional=False)
        return store

    def append(self, *events: Event) -> None:
        write(self.folder / "logs", events, self._events)
        self._events += len(events)

    def fold(self, store: MonitorStore | None = None, cuts: Iterator[int] | None = None) -> None:
        """Folds what is not folded yet, in pieces."""
        store, cuts = store or self.store, cuts or itertools.repeat(4096)
        with LogReader(self.folder / "logs") as log:
            beside = OutcomeFold(store, log, self.profile, self.slicing, self.segment_by)
            folder = Folder(store, self.profile, self.slicing, self.segment_by, beside)
            while folder.position_row < log.rows:
                stop = min(log.rows, folder.position_row + next(cuts))
                folder.fold(log.numbered(folder.position_row, stop), stop)


@pytest.fixture
def few(tmp_path: Path) -> World:
    """A world with 300 predictions, folded, and no feedback."""
    events = [prediction(START_US + number * 100_000, number, (number % 100) / 100) for number in range(300)]
    world = World(tmp_path, events)
    world.fold()
    return world


def id_of(number: int) -> str:
    return request_id(START_US + number * 100_000, number)


def at_us(event: Event) -> int:
    return int(np.datetime64(event["timestamp"][:-1], "us").astype(np.int64))


def dump(store: MonitorStore) -> dict[str, list[Any]]:
    """All that was folded, byte by byte."""
    tables = [table for table in OF_THE_FOLD if table not in {"streams", "windows", "verdicts"}]
    return {table: store.connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def by_hand(events: Sequence[Event]) -> tuple[Labelled, int, int]:
    """Labelled predictions, corrected ones, and ids without a prediction, counted plainly."""
    made = {event["request_id"]: event for event in events if event["kind"] == "prediction"}
    told: dict[str, list[Event]] = {}
    for event in events:
        if event["kind"] == "feedback":
            told.setdefault(event["request_id"], []).append(event)
    final = {name: max(reversed(each), key=lambda one: str(one["at"]))["outcome"] for name, each in told.items()}
    known = [name for name in final if name in made]
    counts = tally_labelled(
        np.array([made[name]["probability"] for name in known]),
        np.array([made[name]["predicted_class"] for name in known]),
        np.array([final[name] for name in known]),
    )
    corrected = sum(len({one["outcome"] for one in told[name]}) == 2 for name in known)
    return Labelled.of(counts), corrected, len(final) - len(known)


def same(one: Labelled, other: Labelled) -> bool:
    return all(np.array_equal(np.asarray(mine), np.asarray(theirs)) for mine, theirs in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slicing", [BY_TIME, Slicing(rows=100)], ids=["by time", "by rows"])
def test_what_is_counted_is_what_the_log_says_and_the_same_however_it_was_cut(
    tmp_path: Path, seed: int, slicing: Slicing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder_module, "CACHED_BYTES", 50_000)
    events = drawn(seed, ROWS)
    world = World(tmp_path, events, slicing, "feature_1")
    world.fold()
    labelled, corrected, without = by_hand(events)
    assert same(Labelled.of(world.outcomes.labelled(ALL)), labelled)
    assert world.outcomes.known() == (labelled.rows, corrected, without)
    assert Scored.of(world.outcomes.scored(ALL)).rows == ROWS

    again = world.new_store("again.sqlite")
    random_ = random.Random(seed)
    world.fold(again, iter(lambda: random_.randrange(1, 200), 0))
    assert dump(again) == dump(world.store)
    again.close()
    world.store.close()


@pytest.mark.parametrize("slicing", [BY_TIME, Slicing(rows=100)], ids=["by time", "by rows"])
def test_an_outcome_is_counted_where_its_prediction_is(tmp_path: Path, slicing: Slicing) -> None:
    events = drawn(5, ROWS)
    world = World(tmp_path, events, slicing)
    world.fold()
    predictions = [event for event in events if event["kind"] == "prediction"]
    told = world.outcomes.get(event["request_id"] for event in predictions)
    assert len(told) > ROWS / 2
    times_us = [at_us(event) for event in predictions]
    cells = slicing.cells(np.array(times_us), 0).tolist()
    for event, made, cell in zip(predictions, times_us, cells, strict=True):
        if event["request_id"] in told:
            found = told[event["request_id"]].prediction
            expected = (cell, event["model_version"], "", made, event["probability"], event["predicted_class"])
            assert found == expected
    world.store.close()


def test_a_fold_that_is_begun_again_after_each_piece_forgets_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, drawn(6, ROWS))
    other = world.new_store("other.sqlite")
    world.fold()
    with LogReader(tmp_path / "logs") as log:
        for stop in range(97, log.rows + 97, 97):
            beside = OutcomeFold(other, log, world.profile, BY_TIME)
            folder = Folder(other, world.profile, BY_TIME, beside=beside)
            folder.fold(log.numbered(folder.position_row, stop), min(stop, log.rows))
    assert dump(other) == dump(world.store)
    other.close()
    world.store.close()


def test_any_scope_is_a_sum_of_parts(tmp_path: Path) -> None:
    world = World(tmp_path, drawn(9, ROWS), segment_by="feature_1")
    world.fold()
    cells = world.store.numbers(*ALL[:2])
    middle = cells[len(cells) // 2]
    whole = Labelled.of(world.outcomes.labelled(ALL))
    for parts in (
        [ALL._replace(stop=middle), ALL._replace(first=middle)],
        [ALL._replace(version=version) for version in "12"],
        [ALL._replace(segment=segment) for segment in world.store.segments()],
    ):
        found = [Labelled.of(world.outcomes.labelled(part)) for part in parts]
        assert all(part.rows for part in found)
        assert sum(part.rows for part in found) == whole.rows
        assert sum(part.log_loss for part in found) == whole.log_loss
        assert np.array_equal(np.sum([part.positives for part in found], axis=0), whole.positives)
    world.store.close()


def test_an_outcome_that_comes_before_its_prediction_waits_for_it(few: World) -> None:
    late_us = START_US + 300 * 100_000
    few.append(feedback(request_id(late_us, 300), 1, late_us + 1))
    few.fold()
    assert few.outcomes.known() == (0, 0, 1)
    few.append(prediction(late_us - 2_000_000, 301, 0.5))  # another one comes in between, of an earlier time
    few.fold()
    assert few.outcomes.known() == (0, 0, 1)
    few.append(prediction(late_us, 300, 0.9))
    few.fold()
    assert few.outcomes.known() == (1, 0, 0)
    assert Labelled.of(few.outcomes.labelled(ALL)).confusion.tolist() == [[0, 0], [0, 1]]


def test_sending_again_changes_nothing_at_all(few: World) -> None:
    few.append(feedback(id_of(7), 1, START_US + DAY_US))
    few.fold()
    before = dump(few.store)
    few.append(feedback(id_of(7), 1, START_US + DAY_US))
    few.append(feedback(id_of(7), 1, START_US + 9 * DAY_US))  # without a time of its own, it was told later
    few.fold()
    after = dump(few.store)
    assert [before[name] == after[name] for name in ("quality", "scored")] == [True, True]
    assert few.outcomes.get([id_of(7)])[id_of(7)].known_us == START_US + DAY_US


def test_a_correction_undoes_what_it_corrects_and_an_older_one_does_not(few: World) -> None:
    few.append(feedback(id_of(70), 0, START_US + DAY_US))
    few.fold()
    assert Labelled.of(few.outcomes.labelled(ALL)).confusion.tolist() == [[0, 0], [1, 0]]
    few.append(feedback(id_of(70), 1, START_US + 2 * DAY_US))
    few.fold()
    assert Labelled.of(few.outcomes.labelled(ALL)).confusion.tolist() == [[0, 0], [0, 1]]
    few.append(feedback(id_of(70), 0, START_US + DAY_US + 1))
    few.fold()
    assert Labelled.of(few.outcomes.labelled(ALL)).confusion.tolist() == [[0, 0], [0, 1]]
    few.append(feedback(id_of(70), 0, START_US + 2 * DAY_US))  # as late, and later in the log
    few.fold()
    assert Labelled.of(few.outcomes.labelled(ALL)).confusion.tolist() == [[0, 0], [1, 0]]
    assert few.outcomes.known() == (1, 1, 0)
    assert len(few.store.connection.execute("SELECT * FROM quality").fetchall()) == 1


def test_feedback_that_cannot_be_read_is_counted_and_stops_nobody(few: World) -> None:
    good = feedback(id_of(1), 1, START_US)
    few.append(
        {**good, "outcome": 2},
        {**good, "outcome": "yes"},
        {**good, "outcome": [1]},
        {**good, "request_id": "order-4711"},
        {**good, "request_id": str(id_of(1)).replace("-7", "-4", 1)},
        {**good, "at": "yesterday"},
        {"kind": "feedback", "timestamp": good["timestamp"]},
        good,
    )
    few.fold()
    assert few.store.meta()[UNREADABLE] == "5"
    assert few.store.meta()[UNKNOWN] == "2"
    assert few.outcomes.known() == (1, 0, 0)


def test_as_of_maturity_leaves_out_what_came_later(few: World) -> None:
    for number, delay_us in enumerate((MINUTE_US, 5 * MINUTE_US, DAY_US, 400 * DAY_US)):
        few.append(feedback(id_of(number), 0, START_US + number * 100_000 + delay_us))
    few.fold()
    rows = [
        Labelled.of(few.outcomes.labelled(ALL, maturity_us)).rows
        for maturity_us in (MINUTE_US, DAY_US, MATURITIES_US[-1])
    ]
    assert rows == [1, 3, 3]
    assert Labelled.of(few.outcomes.labelled(ALL)).rows == 4
    cells = few.store.cells(*ALL[:2])
    cohorts = few.outcomes.cohorts(ALL, START_US + 2 * DAY_US, BY_TIME.width_us)
    assert [cohort.rows for cohort in cohorts] == [cell.rows for cell in cells.values()]
    curve = {point.age_us: point for point in label_delays(cohorts)}
    assert (curve[MINUTE_US].rows, curve[MINUTE_US].share.value) == (300, 1 / 300)
    assert curve[DAY_US].share.value == 3 / 300
    assert max(curve) == DAY_US


def test_old_counts_become_sums_by_the_hour_and_what_comes_late_is_added(tmp_path: Path) -> None:
    events = drawn(7, ROWS)
    half = len(events) // 2
    world = World(tmp_path, events[:half], Slicing(width_us=7_000_000))
    world.fold()
    far_us = START_US + 10 * DAY_US
    cells = world.store.numbers(*ALL[:2])
    hours = {-(-(cell * 7_000_000 // HOUR_US) * HOUR_US // 7_000_000) for cell in cells}
    assert world.outcomes.roll_up(7_000_000, far_us) >= len(cells)
    assert world.outcomes.roll_up(7_000_000, far_us) == 0
    assert {row[0] for row in world.store.connection.execute("SELECT cell FROM scored")} == hours

    world.append(*events[half:])
    world.fold()
    labelled, *_ = by_hand(events)
    assert same(Labelled.of(world.outcomes.labelled(ALL)), labelled)
    assert world.outcomes.roll_up(7_000_000, far_us) > 0
    assert same(Labelled.of(world.outcomes.labelled(ALL)), labelled)
    assert Scored.of(world.outcomes.scored(ALL)).rows == ROWS

    world.store.put_meta({ROLLED: str(far_us // 7_000_000)})
    cohorts = world.outcomes.cohorts(ALL, far_us, 7_000_000)
    assert len(cohorts) == len(hours)
    assert sum(cohort.rows for cohort in cohorts) == ROWS
    assert sum(cohort.labelled.sum() for cohort in cohorts) == labelled.rows
    assert cohorts[-1].age_us == far_us - (START_US // HOUR_US + 1) * HOUR_US
    world.store.close()


def test_a_prediction_without_a_score_is_not_counted(few: World) -> None:
    late_us = START_US + 300 * 100_000
    few.append({**prediction(late_us, 300, 0.5), "probability": None}, feedback(request_id(late_us, 300), 1, late_us))
    few.append({**prediction(late_us, 301, 0.5), "predicted_class": "yes"})
    few.fold()
    assert few.outcomes.known() == (0, 0, 1)
    assert Scored.of(few.outcomes.scored(ALL)).rows == 300


tellings = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=6)


@given(tellings.flatmap(lambda told: st.tuples(st.just(list(enumerate(told))), st.permutations(list(enumerate(told))))))
def test_what_is_known_does_not_depend_on_the_order_of_telling(
    drawn_orders: tuple[list[tuple[int, tuple[int, int]]], list[tuple[int, tuple[int, int]]]],
) -> None:
    found = []
    for order in drawn_orders:
        known: Outcome | None = None
        for row, (outcome, at_us) in order:
            known = merged(known, outcome, at_us, row, id_of(1))
        found.append(known)
    assert found[0] == found[1]
    assert found[0] is not None
    latest = max(drawn_orders[0], key=lambda each: (each[1][1], each[0]))
    assert (found[0].row, found[0].outcome) == (latest[0], latest[1][0])
    assert found[0].known_us == min(at for _, (outcome, at) in drawn_orders[0] if outcome == latest[1][0])


def test_the_monitor_folds_feedback_as_it_follows_the_log(tmp_path: Path) -> None:
    events = drawn(8, ROWS)
    write(tmp_path / "logs", events)
    store = MonitorStore(tmp_path / "monitor.sqlite", create=True)
    plan = Plan(BY_TIME, 50, 30.0, 0.05, "feature_1", reference_rows=600)
    follower = Follower(tmp_path / "logs", store, seed_schema(), tmp_path / "reference.json", plan)
    while follower.step():
        pass
    labelled, corrected, without = by_hand(events)
    assert Outcomes(store, TWO_CLASSES).known() == (labelled.rows, corrected, without)
    assert same(Labelled.of(Outcomes(store, TWO_CLASSES).labelled(ALL)), labelled)
    follower.close()
    store.close()


def test_an_id_tells_when_it_was_made() -> None:
    assert made_us(request_id(START_US, 5)) == START_US


def test_a_lost_segment_hides_its_predictions_and_no_others(few: World) -> None:
    with LogReader(few.folder / "logs") as log:
        finder = Finder(few.store, log)
        assert finder.find([id_of(3)])[id_of(3)][0] == 3
        (few.folder / "logs" / "segments" / "00000001.jsonl").unlink()
        assert finder.find([id_of(3)]) != {}, "it is remembered"
        assert Finder(few.store, log).find([id_of(3)]) == {}


def test_what_is_remembered_of_spans_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, [prediction(START_US + at * 10_000, at, 0.5) for at in range(20_000)])
    world.fold()
    monkeypatch.setattr(finder_module, "CACHED_BYTES", 3_000_000)
    with LogReader(tmp_path / "logs") as log:
        finder = Finder(world.store, log)
        for at in (0, 1, 19_999, 10_000, 19_998, 5_000, 15_000, 2):
            name = request_id(START_US + at * 10_000, at)
            assert finder.find([name])[name][0] == at
            assert finder._cached_bytes == sum(each.size_bytes for each in finder._cache.values()) <= 3_000_000
        assert 1 <= len(finder._cache) < 5
        assert len(finder._spans) == 5
    world.store.close()
