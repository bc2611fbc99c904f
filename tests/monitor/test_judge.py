"""What is said of a column in a window: whether it has changed, in which way, how much, and since when."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from driftline.drift.profile import Profile
from driftline.monitor.fold import Folder, Slicing
from driftline.monitor.judge import ALL, Judge, Judged, Rules, Verdict
from driftline.monitor.store import FILE_NAME, MonitorStore
from tests.monitor.logs import START_US, US, Event, PredictionLog, events, profile_of

SLICING = Slicing(width_us=60 * US)
RULES = Rules(min_rows=100, false_alarms_a_window={ALL: 1e-3}, min_moved=0.01)
FIRST = START_US // (60 * US)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    log_dir = tmp_path_factory.mktemp("reference") / "logs"
    with PredictionLog(log_dir) as log:
        log.add(events(4000, every_s=0.1))
    return profile_of(log_dir, 0, 4000)


class Court:
    """Folds events and judges the windows that are over."""

    def __init__(self, store: MonitorStore, profile: Profile, rules: Rules = RULES) -> None:
        self.store = store
        store.put_meta({"log_id": "not the reference's"})
        self.judged: list[Judged] = []
        self._folder = Folder(store, profile, SLICING)
        self._judge = Judge(store, profile, SLICING, rules, self.judged.append)
        self._profile, self._rules = profile, rules

    def again(self) -> "Court":
        """As after a restart."""
        return Court(self.store, self._profile, self._rules)

    def take(self, found: list[Event]) -> None:
        row = self._folder.position_row
        self._folder.fold([(row + at, json.dumps(each).encode()) for at, each in enumerate(found)], row + len(found))

    def judge(self, minutes: int) -> list[Judged]:
        self._judge.judge(FIRST + minutes)
        return self.judged


@pytest.fixture
def court(tmp_path: Path, profile: Profile) -> Iterator[Court]:
    with MonitorStore(tmp_path / FILE_NAME, create=True) as store:
        yield Court(store, profile)


def minutes(number: int, *, first: int = 0, seed: int = 1, shift: float = 0) -> list[Event]:
    """Ten rows a second."""
    return events(number * 600, first_s=first * 60, every_s=0.1, seed=seed, shift=shift)


def of(judged: Judged, name: str) -> Verdict:
    return next(verdict for verdict in judged.verdicts if verdict.column.name == name)


def test_where_nothing_has_changed_all_is_quiet(court: Court) -> None:
    court.take(minutes(30))
    judged = court.judge(30)
    assert len(judged) == 30
    assert {verdict.state for each in judged for verdict in each.verdicts} == {"quiet"}
    assert all(verdict.since_us == each.start_us for each in judged for verdict in each.verdicts)


def changed(change: Callable[[Event, int], None]) -> list[Event]:
    found = minutes(1)
    for at, each in enumerate(found):
        change(each, at)
    return found


def _missing(each: Event, at: int) -> None:
    if at % 10 == 0:
        each["features"]["feature_1"] = None


def _all_missing(each: Event, _: int) -> None:
    del each["features"]["feature_1"]


def _unseen(each: Event, at: int) -> None:
    if at % 20 == 0:
        each["predicted_class"] = 2


def _constant(each: Event, _: int) -> None:
    each["features"]["feature_1"] = 0.25


def _far(each: Event, at: int) -> None:
    if at % 40 == 0:
        each["features"]["feature_1"] = 1e6


def _moved(each: Event, _: int) -> None:
    each["features"]["feature_1"] += 0.5


@pytest.mark.parametrize(
    ("change", "column", "kind", "moved"),
    [
        (_missing, "feature_1", "missing", 0.1),
        (_all_missing, "feature_1", "missing", 1.0),
        (_unseen, "predicted_class", "unseen", 0.05),
        (_constant, "feature_1", "constant", 0.6),
        (_far, "feature_1", "out_of_range", 0.025),
        (_moved, "feature_1", "drift", 0.2),
    ],
)
def test_each_kind_of_change_is_named_in_its_first_window(
    court: Court, change: Callable[[Event, int], None], column: str, kind: str, moved: float
) -> None:
    court.take(changed(change))
    (judged,) = court.judge(1)
    verdict = of(judged, column)
    assert (verdict.state, verdict.kind, verdict.evidence.detector) == ("alarm", kind, "sudden")
    assert verdict.moved == pytest.approx(moved, abs=0.12)
    assert {each.state for each in judged.verdicts if each.column.name == "feature_2"} == {"quiet"}
    shares = {"missing": verdict.missing, "unseen": verdict.outside, "out_of_range": verdict.outside}
    if kind in shares:
        assert shares[kind] == pytest.approx(moved, abs=0.01)


def test_a_change_that_is_certain_and_too_small_to_matter_is_small(tmp_path: Path, profile: Profile) -> None:
    with MonitorStore(tmp_path / FILE_NAME, create=True) as store:
        court = Court(store, profile, RULES._replace(min_moved=0.5))
        court.take(changed(_moved))
        (judged,) = court.judge(1)
        assert of(judged, "feature_1").state == "small"


def test_the_change_is_dated_to_the_window_in_which_it_began(court: Court) -> None:
    court.take([*minutes(20), *minutes(10, first=20, seed=2, shift=0.3)])
    found = [of(each, "feature_1") for each in court.judge(30)]
    reaching_back = [
        verdict
        for minute, verdict in enumerate(found)
        if verdict.state == "alarm" and minute - verdict.evidence.windows < 20
    ]
    assert len(reaching_back) >= 5
    dated = [(verdict.since_us - START_US) // (60 * US) for verdict in reaching_back]
    assert all(abs(minute - 20) <= 1 for minute in dated), dated


def test_a_shift_too_small_for_a_window_is_seen_by_the_slow_detector(court: Court) -> None:
    court.take(minutes(40, shift=0.1))
    found = [of(each, "feature_1") for each in court.judge(40)]
    first = next(at for at, verdict in enumerate(found) if verdict.state == "alarm")
    assert first > 0
    assert any(verdict.evidence.detector == "slow" for verdict in found if verdict.state == "alarm")


def test_what_was_judged_is_written_down_as_it_was_said(court: Court) -> None:
    court.take([*minutes(1), *minutes(1, first=1, shift=1)])
    judged = court.judge(2)
    rows = court.store.connection.execute(
        "SELECT windows.start_us, windows.rows, name, verdicts.state, kind, since_us, moved FROM verdicts "
        "JOIN windows USING (window)"
    ).fetchall()
    assert sorted(rows) == sorted(
        (
            each.start_us,
            each.cell.rows,
            verdict.column.name,
            verdict.state,
            verdict.kind,
            verdict.since_us,
            verdict.moved,
        )
        for each in judged
        for verdict in each.verdicts
    )


def test_one_who_begins_again_says_the_same(tmp_path: Path, profile: Profile) -> None:
    found = [*minutes(12), *minutes(12, first=12, seed=2, shift=0.15)]
    said = []
    for restarts in (False, True):
        with MonitorStore(tmp_path / f"{restarts}.sqlite", create=True) as store:
            court = Court(store, profile)
            court.take(found)
            for minute in range(1, 25):
                court.judge(minute)
                if restarts:
                    court = court.again()
            said.append(
                store.connection.execute(
                    "SELECT start_us, name, verdicts.state, kind, label, log_p, since_us, moved FROM verdicts "
                    "JOIN windows USING (window) ORDER BY start_us, name"
                ).fetchall()
            )
    assert said[0] == said[1]
    assert len(said[0]) == 24 * 4


def test_what_could_not_be_told_is_not_written_down(tmp_path: Path, profile: Profile) -> None:
    with MonitorStore(tmp_path / FILE_NAME, create=True) as store:
        Court(store, profile).take(minutes(3))

        def refuse(judged: Judged) -> None:
            if judged.start_us >= START_US + 60 * US:
                raise OSError("no room")

        refused = Judge(store, profile, SLICING, RULES, refuse)
        with pytest.raises(OSError, match="no room"):
            refused.judge(FIRST + 3)
        assert store.connection.execute("SELECT count(*) FROM windows").fetchone() == (1,)
        court = Court(store, profile)
        assert [each.start_us for each in court.judge(3)] == [START_US + 60 * US, START_US + 120 * US]


def test_rows_that_are_waiting_are_counted(court: Court) -> None:
    court.take(minutes(3))
    assert court._judge.waiting_rows(ALL) == 1800
    court.judge(2)
    assert court._judge.waiting_rows(ALL) == 600
