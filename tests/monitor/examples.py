"""Alerts and judgements to try things with."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from driftline.monitor.alarms import Alarms, Judgement
from driftline.monitor.alert import Alert, Bins, Evidence, Finding, Kind, Window, alert_id, alert_key
from driftline.monitor.store import MonitorStore

HOUR_US = 3_600_000_000
START_US = 1_795_640_400_000_000
"""2026-11-25 21:00 UTC"""

FINDING = Finding(
    sentence="feature_1 is higher than in the reference: 41 % of the rows are above its 95th percentile.",
    since_us=START_US - HOUR_US,
    effect={"psi": 0.31, "psi_low": 0.24, "psi_high": 0.4, "ks": 0.22, "ks_low": None, "ks_high": None},
    evidence=Evidence(detector="sudden", p=3.2e-7, bound=1.1e-5, budget="at most one false alarm in 30 days"),
    bins=Bins(
        labels=("< 0", "0 to 1", ">= 1", "missing"), reference=(0.3, 0.4, 0.3, 0.0), current=(0.1, 0.2, 0.7, 0.0)
    ),
    request_ids=("0193f0a0-0000-7000-8000-000000000001", "0193f0a0-0000-7000-8000-000000000002"),
    profile="seed-1-5f2a",
    page="https://driftline.example.org/columns/feature_1",
)


def window(number: int) -> Window:
    """The window of that hour."""
    return Window(START_US + number * HOUR_US, START_US + (number + 1) * HOUR_US, 1000)


def judged(
    number: int,
    alarming: bool | None,
    *,
    column: str | None = "feature_1",
    kind: Kind = "drift",
    scope: str = "all",
    explained_by: tuple[str, ...] = (),
    find: Callable[[], Finding] = lambda: FINDING,
) -> Judgement:
    """The judgement of one window."""
    return Judgement(kind, column, scope, window(number), alarming, find, explained_by)


def an_alert(number: int = 0, column: str = "feature_1") -> Alert:
    """An alert that is firing."""
    key = alert_key("all", column, "drift")
    return Alert(
        alert_id=alert_id("log", key, window(number)),
        service="driftline",
        key=key,
        kind="drift",
        state="firing",
        column=column,
        scope="all",
        since_us=FINDING.since_us,
        opened_us=window(number).stop_us,
        closed_us=None,
        sentence=FINDING.sentence,
        effect=FINDING.effect,
        evidence=FINDING.evidence,
        bins=FINDING.bins,
        request_ids=FINDING.request_ids,
        profile=FINDING.profile,
        window=window(number),
        page=FINDING.page,
    )


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        return self.now_us


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a monitor's database, which is made if it is not there."""
    return MonitorStore(path, create=True).connection


def make_alarms(connection: sqlite3.Connection, clock: Callable[[], int], *sinks: str, close_after: int = 3) -> Alarms:
    """The alarms of that database."""
    return Alarms(connection, log_id="log", service="driftline", sinks=sinks, close_after=close_after, clock_us=clock)
