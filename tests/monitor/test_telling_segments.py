"""Which windows open and close alerts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.drift.profile import Profile, encode_profile
from driftline.eventlog.reader import LogReader
from driftline.monitor.alarms import Alarms
from driftline.monitor.fold import Folder, Slicing, segment_names
from driftline.monitor.history import AlertHistory
from driftline.monitor.judge import ALL, Judge, Rules
from driftline.monitor.segments import counts_by_segment
from driftline.monitor.store import FILE_NAME, MonitorStore
from driftline.monitor.telling import Teller
from tests.monitor.logs import START_US, US, PredictionLog, events, profile_of

SLICING = Slicing(width_us=60 * US)
STOP_US = START_US + 600 * US


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MonitorStore]:
    with MonitorStore(tmp_path / FILE_NAME, create=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "logs"
    with PredictionLog(folder) as log:
        log.add(events(4000, every_s=0.1))
    return folder


@pytest.fixture(scope="module")
def profile(log_dir: Path) -> Profile:
    return profile_of(log_dir, 0, 4000)


def watch(store: MonitorStore, profile: Profile, segment_by: str | None, log_dir: Path, shift: float) -> None:
    """Judges ten minutes, after a start with these settings."""
    store.adopt(profile.profile_id, encode_profile(profile), provisional=False)
    store.put_meta({"log_id": "another than the reference's"})
    alarms = Alarms(store.connection, log_id="x", service="x", sinks=[], close_after=3, clock_us=lambda: STOP_US)
    teller = Teller(
        store,
        lambda _: alarms,
        log_dir=log_dir,
        days_a_false_alarm=30,
        page=lambda _scope, _column: None,
        segment_by=segment_by,
        clock_us=lambda: STOP_US,
    )
    found = events(6000, every_s=0.1, shift=shift)
    lines = [(row, json.dumps(each).encode()) for row, each in enumerate(found)]
    Folder(store, profile, SLICING, segment_by).fold(lines, len(lines))
    segments = {}
    if segment_by is not None:
        with LogReader(log_dir) as reference:
            segments = counts_by_segment(reference, profile, segment_by, 0, 4000)
    rules = Rules(100, dict.fromkeys([ALL, *segments], 1e-3), 0.01)
    judge = Judge(store, profile, SLICING, rules, lambda it: teller.tell(profile, it), segments=segments)
    judge.judge(STOP_US // (60 * US))


def scopes(store: MonitorStore) -> set[str]:
    return {alert.scope for alert in AlertHistory(store.connection).firing()}


def test_alerts_of_segments_that_are_watched_no_more_close(
    store: MonitorStore, profile: Profile, log_dir: Path
) -> None:
    segment_by = profile.columns[0].name
    watch(store, profile, segment_by, log_dir, shift=2)
    assert ALL in scopes(store)
    assert scopes(store) & set(segment_names(profile, segment_by))
    watch(store, profile, None, log_dir, shift=2)
    assert scopes(store) == {ALL}
