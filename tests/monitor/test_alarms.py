"""When an alert opens and closes, and who is told."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from driftline.monitor import alarms as module
from driftline.monitor import alert as form
from driftline.monitor.alarms import Alarms
from driftline.monitor.alert import Finding
from driftline.monitor.delivery import DeliveryQueue
from driftline.monitor.history import AlertHistory
from driftline.monitor.silences import Silence, Silences
from tests.monitor.examples import FINDING, HOUR_US, Clock, connect, judged, make_alarms, window

KEY = "all/feature_1/drift"


def told(database: sqlite3.Connection) -> list[str]:
    """The state in each notice that waits for the one sink."""
    return [delivery.alert.state for delivery in DeliveryQueue(database).waiting()]


def observe(alarms: Alarms, *windows: bool | None, first: int = 0) -> list[str | None]:
    """What came of one window after the other."""
    changes = [alarms.observe(judged(number, alarming)) for number, alarming in enumerate(windows, first)]
    return [None if change is None else change.state for change in changes]


@pytest.fixture
def alarms(database: sqlite3.Connection, clock: Clock) -> Alarms:
    return make_alarms(database, clock, "webhook")


def test_an_alert_says_all_that_was_found(alarms: Alarms, database: sqlite3.Connection) -> None:
    alert = alarms.observe(judged(0, True))
    assert alert is not None
    assert (alert.key, alert.kind, alert.column, alert.scope) == (KEY, "drift", "feature_1", "all")
    assert (alert.window, alert.opened_us, alert.closed_us) == (window(0), window(0).stop_us, None)
    for field in msgspec.structs.fields(Finding):
        assert getattr(alert, field.name) == getattr(FINDING, field.name)
    assert alarms.firing() == AlertHistory(database).firing() == [alert]
    assert AlertHistory(database).alert(alert.alert_id) == alert
    assert AlertHistory(database).alert("another") is None
    assert AlertHistory(database).recent(5) == [alert]


def test_it_opens_once_and_closes_after_three_quiet_windows_in_a_row(
    alarms: Alarms, database: sqlite3.Connection
) -> None:
    assert observe(alarms, False, True, True, False, False, True, False, False, False, False) == [
        *(None, "firing", None, None, None, None, None, None, "resolved", None)
    ]
    assert told(database) == ["firing", "resolved"]
    [alert] = AlertHistory(database).recent(5)
    assert (alert.opened_us, alert.closed_us) == (window(1).stop_us, window(8).stop_us)
    assert AlertHistory(database).firing() == []


def test_a_column_that_flaps_is_told_of_once(alarms: Alarms, database: sqlite3.Connection) -> None:
    observe(alarms, *[True, False, False] * 50)
    assert told(database) == ["firing"]


def test_a_window_with_too_few_rows_is_neither_alarm_nor_quiet(alarms: Alarms, database: sqlite3.Connection) -> None:
    assert observe(alarms, None, True, False, False, None, None, False) == [
        *(None, "firing", None, None, None, None, "resolved")
    ]


def test_after_it_has_closed_the_next_alarm_is_another_alert(alarms: Alarms, database: sqlite3.Connection) -> None:
    observe(alarms, True, False, False, False, True)
    assert told(database) == ["firing", "resolved", "firing"]
    assert len({alert.alert_id for alert in AlertHistory(database).recent(5)}) == 2


def test_each_key_has_an_alert_of_its_own(alarms: Alarms, database: sqlite3.Connection) -> None:
    alarms.observe(judged(0, True))
    alarms.observe(judged(0, True, column="feature_2"))
    alarms.observe(judged(0, True, kind="missing"))
    alarms.observe(judged(0, True, scope="country=DE"))
    alarms.observe(judged(0, True, column=None, kind="traffic"))
    assert [alert.key for alert in AlertHistory(database).firing()] == [
        *("all/-/traffic", "country=DE/feature_1/drift", "all/feature_1/missing", "all/feature_2/drift", KEY)
    ]


def test_what_an_alert_says_is_looked_up_only_when_one_opens(alarms: Alarms, database: sqlite3.Connection) -> None:
    asked = []

    def find() -> Finding:
        asked.append(1)
        return FINDING

    for number, alarming in enumerate([False, None, True, True, False, True]):
        alarms.observe(judged(number, alarming, find=find))
    assert asked == [1]


def test_a_window_that_is_judged_again_changes_nothing(alarms: Alarms, database: sqlite3.Connection) -> None:
    for _ in range(5):
        assert alarms.observe(judged(0, True)) is None or len(AlertHistory(database).recent(9)) == 1
    for _ in range(5):
        alarms.observe(judged(1, False))
    assert [alert.state for alert in AlertHistory(database).firing()] == ["firing"]
    observe(alarms, False, False, first=2)
    observe(alarms, True, False, False, False)  # all of it again, after it has closed
    assert told(database) == ["firing", "resolved"]


@given(st.lists(st.sampled_from([True, False, None]), max_size=30), st.data())
def test_wherever_a_monitor_is_killed_the_next_comes_to_the_same(
    windows: list[bool | None], data: st.DataObject
) -> None:
    def follow(lives: list[tuple[int, int]]) -> tuple[list[bytes], list[str]]:
        with TemporaryDirectory() as folder:
            return follow_in(connect(Path(folder) / "monitor.sqlite"), lives)

    def follow_in(database: sqlite3.Connection, lives: list[tuple[int, int]]) -> tuple[list[bytes], list[str]]:
        for first, stop in lives:
            observe(make_alarms(database, Clock(), "webhook"), *windows[first:stop], first=first)
        alerts = [form.encode(alert) for alert in AlertHistory(database).recent(99)]
        notices = [delivery.alert.notice_id for delivery in DeliveryQueue(database).waiting()]
        database.close()
        return alerts, notices

    lives, done = [], 0
    while done < len(windows):
        stop = data.draw(st.integers(done + 1, len(windows)))
        again = data.draw(st.integers(0, done))  # what was not committed is judged again
        lives.append((again, stop))
        done = stop
    assert follow(lives) == follow([(0, len(windows))])


def test_what_is_observed_belongs_to_the_callers_transaction(alarms: Alarms, database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    assert alarms.observe(judged(0, True)) is not None
    database.execute("ROLLBACK")
    assert AlertHistory(database).recent(9) == []
    assert told(database) == []
    assert alarms.observe(judged(0, True)) is not None


def test_an_error_while_looking_things_up_leaves_nothing_half_done(
    alarms: Alarms, database: sqlite3.Connection
) -> None:
    def find() -> Finding:
        raise OSError("the disk")

    for begin in ("SELECT 1", "BEGIN IMMEDIATE"):
        database.execute(begin)
        with pytest.raises(OSError, match="the disk"):
            alarms.observe(judged(0, True, find=find))
        assert AlertHistory(database).recent(9) == []
    assert database.in_transaction, "what the caller began is the caller's to end"


def test_a_rebuilt_monitor_gives_its_alerts_the_same_ids_and_another_log_other_ones(
    tmp_path: Path, clock: Clock
) -> None:
    def ids(log_id: str, file: str) -> list[str]:
        database = connect(tmp_path / file)
        made = Alarms(database, log_id=log_id, service="s", sinks=(), close_after=1, clock_us=clock)
        found = [change.alert_id for number in range(4) if (change := made.observe(judged(number, number % 2 == 0)))]
        database.close()
        return found

    first = ids("a", "1")
    assert first == ids("a", "2")
    assert len({*first, *ids("b", "3")}) == 4


# -- who is told


@pytest.mark.parametrize("pattern", [KEY, "*/feature_1/*", "all/*", "*"])
def test_a_silence_keeps_an_alert_from_being_sent_but_not_from_being_seen(
    alarms: Alarms, database: sqlite3.Connection, clock: Clock, pattern: str
) -> None:
    Silences(database).add(Silence(pattern, clock.now_us, clock.now_us + HOUR_US, "known"))
    observe(alarms, True)
    assert told(database) == []
    assert [alert.key for alert in AlertHistory(database).firing()] == [KEY]


def test_a_key_silences_itself_whatever_stands_in_it(
    alarms: Alarms, database: sqlite3.Connection, clock: Clock
) -> None:
    Silences(database).add(Silence("all/age [years]/drift", clock.now_us, clock.now_us + HOUR_US, ""))
    alarms.observe(judged(0, True, column="age [years]"))
    assert told(database) == []


@pytest.mark.parametrize("pattern", ["all/feature_2/drift", "country=*", "all/feature_1", ""])
def test_a_silence_of_something_else_silences_nothing(
    alarms: Alarms, database: sqlite3.Connection, clock: Clock, pattern: str
) -> None:
    Silences(database).add(Silence(pattern, clock.now_us, clock.now_us + HOUR_US, ""))
    observe(alarms, True)
    assert told(database) == ["firing"]


def test_what_still_fires_when_its_silence_ends_is_told_of(
    alarms: Alarms, database: sqlite3.Connection, clock: Clock
) -> None:
    Silences(database).add(Silence("*", clock.now_us, clock.now_us + HOUR_US, ""))
    observe(alarms, True, True)
    clock.now_us += HOUR_US
    observe(alarms, True, True, first=2)
    assert told(database) == ["firing"]


def test_a_silence_that_is_lifted_ends_at_once(alarms: Alarms, database: sqlite3.Connection, clock: Clock) -> None:
    silences = Silences(database)
    silences.add(Silence("*", clock.now_us, clock.now_us + HOUR_US, ""))
    assert silences.lift("*", clock.now_us)
    assert not silences.lift("*", clock.now_us)
    observe(alarms, True)
    assert told(database) == ["firing"]


def test_whoever_was_told_that_it_fires_is_told_that_it_has_closed_silence_or_not(
    alarms: Alarms, database: sqlite3.Connection, clock: Clock
) -> None:
    observe(alarms, True)
    Silences(database).add(Silence("*", clock.now_us, clock.now_us + HOUR_US, ""))
    observe(alarms, True, False, False, False, first=1)
    assert told(database) == ["firing", "resolved"]


def test_what_another_alert_explains_is_shown_and_not_sent(alarms: Alarms, database: sqlite3.Connection) -> None:
    alarms.observe(judged(0, True))
    alarms.observe(judged(0, True, column="probability", explained_by=(KEY,)))
    assert told(database) == ["firing"]
    assert len(AlertHistory(database).firing()) == 2


def test_what_outlives_its_explanation_is_sent(alarms: Alarms, database: sqlite3.Connection) -> None:
    for number in range(4):
        alarms.observe(judged(number, number == 0))
        alarms.observe(judged(number, True, column="probability", explained_by=(KEY,)))
    assert [(it.alert.column, it.alert.state) for it in DeliveryQueue(database).waiting()] == [
        *(("feature_1", "firing"), ("feature_1", "resolved"), ("probability", "firing"))
    ]


def test_an_alert_of_what_is_watched_no_more_closes(alarms: Alarms, database: sqlite3.Connection, clock: Clock) -> None:
    observe(alarms, True)
    alarms.observe(judged(0, True, column="feature_2"))
    assert [alert.key for alert in alarms.close_unwatched({"all/feature_2/drift"})] == [KEY]
    assert [alert.column for alert in AlertHistory(database).firing()] == ["feature_2"]
    assert told(database) == ["firing", "firing", "resolved"]
    assert alarms.close_unwatched({"all/feature_2/drift"}) == []


# -- what is kept and counted


def test_old_alerts_are_forgotten_with_what_was_sent_of_them(
    alarms: Alarms, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    observe(alarms, *[True, False, False, False] * 6)
    assert len(AlertHistory(database).recent(99)) <= 3
    kept = {alert.alert_id for alert in AlertHistory(database).recent(99)}
    assert {delivery.alert.alert_id for delivery in DeliveryQueue(database).waiting()} == kept


def test_the_gauge_says_how_many_fire_of_each_kind_also_after_a_restart(
    alarms: Alarms, database: sqlite3.Connection, clock: Clock
) -> None:
    def firing(kind: str) -> float | None:
        return REGISTRY.get_sample_value("driftline_alerts_firing", {"kind": kind})

    observe(alarms, True)
    alarms.observe(judged(0, True, column="feature_2"))
    assert (firing("drift"), firing("missing")) == (2, 0)
    module.FIRING.labels("drift").set(0)
    make_alarms(database, clock)
    assert firing("drift") == 2
    observe(alarms, False, False, False, first=1)
    assert firing("drift") == 1
