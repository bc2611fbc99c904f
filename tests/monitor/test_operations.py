"""Traffic, latency and failures against the day before."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from driftline.monitor.alarms import Alarms
from driftline.monitor.history import AlertHistory
from driftline.monitor.operations import DAY_US, Operations
from driftline.monitor.store import MonitorStore
from tests.monitor.examples import HOUR_US, START_US, Clock, make_alarms


@pytest.fixture
def store(tmp_path: Path) -> MonitorStore:
    return MonitorStore(tmp_path / "monitor.sqlite", create=True)


def alarms_of(store: MonitorStore, clock: Clock) -> Alarms:
    return make_alarms(store.connection, clock, "webhook")


def put(store: MonitorStore, rows: Iterable[tuple[int, int, int, float]]) -> None:
    """Samples: hours after the start, requests, failures, p99 in seconds; each of one hour."""
    for hour, requests, failed, p99_s in rows:
        store.connection.execute(
            "INSERT INTO traffic VALUES (?, ?, ?, ?, ?, ?, ?)",
            (START_US + (hour + 1) * HOUR_US, 3600.0, requests, 0, failed, p99_s / 10, p99_s),
        )


def fired(store: MonitorStore, clock: Clock, hours: int, last: tuple[int, int, float]) -> list[str]:
    """What fires when so many usual hours are followed by one other."""
    put(store, [(hour, 1000 + 10 * (hour % 5), 1, 0.08) for hour in range(hours)])
    put(store, [(hours, *last)])
    clock.now_us = START_US + (hours + 1) * HOUR_US
    Operations(store, alarms_of(store, clock), HOUR_US, None).judge(clock.now_us + 1)
    return sorted(alert.kind for alert in AlertHistory(store.connection).firing())


@pytest.mark.parametrize(
    ("last", "kinds"),
    [
        ((1000, 1, 0.08), []),
        ((300, 0, 0.08), ["traffic"]),
        ((2500, 2, 0.08), ["traffic"]),
        ((1000, 1, 0.5), ["latency"]),
        ((1000, 100, 0.08), ["errors"]),
        ((1000, 1, 0.09), []),
    ],
)
def test_what_is_far_from_the_day_before_fires(
    store: MonitorStore, clock: Clock, last: tuple[int, int, float], kinds: list[str]
) -> None:
    assert fired(store, clock, 24, last) == kinds


def test_nothing_fires_before_most_of_a_day_is_known(store: MonitorStore, clock: Clock) -> None:
    assert fired(store, clock, 15, (0, 0, 0.08)) == []


def test_a_window_is_judged_once_and_says_what_it_was_held_against(store: MonitorStore, clock: Clock) -> None:
    fired(store, clock, 24, (100, 0, 0.08))
    (alert,) = AlertHistory(store.connection).firing()
    assert alert.sentence.startswith("0.0278 predictions a second, where the day before had 0.278 to 0.289")
    assert alert.column is None
    assert alert.evidence.p is None
    assert alert.window.stop_us - alert.window.start_us == HOUR_US
    assert DAY_US == 24 * HOUR_US
