"""A monitor's database, a clock, and a follower of a real log with a clock that the test sets."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.contract.schema import ModelSchema
from driftline.drift.profile import Profile, decode_profile
from driftline.monitor.fold import Slicing
from driftline.monitor.follow import Follower, Plan
from driftline.monitor.judge import Judged
from driftline.monitor.store import FILE_NAME, MonitorStore
from tests.monitor.examples import Clock, connect
from tests.monitor.logs import SCHEMA, START_US, US, PredictionLog

PLAN = Plan(
    Slicing(width_us=60 * US), min_rows=50, days_a_false_alarm=30, min_moved=0.01, segment_by=None, reference_rows=500
)


class Watch:
    """A log, a store, a follower, and what it has judged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_dir = folder / "logs"
        self.reference = folder / "reference.json"
        self.store = MonitorStore(folder / FILE_NAME, create=True)
        self.now_us = START_US
        self.judged: list[Judged] = []
        self.log = PredictionLog(self.log_dir)
        self.plan = PLAN
        self.schema: ModelSchema = SCHEMA
        self.otherwise: Path | None = None
        self.follower = self.begin()

    def begin(self) -> Follower:
        """As after a restart."""
        self.follower = Follower(
            self.log_dir,
            self.store,
            self.schema,
            self.reference,
            self.plan,
            otherwise=self.otherwise,
            tell=lambda _, judged: self.judged.append(judged),
            clock_us=lambda: self.now_us,
        )
        return self.follower

    def look(self, at_s: float) -> None:
        """Steps until there is nothing more to do, at a time in seconds after the start of the log."""
        self.now_us = START_US + round(at_s * US)
        while self.follower.step():
            pass

    def go_on(self, at_s: float) -> None:
        """As :meth:`look`, and again when no rows have come for a moment."""
        self.look(at_s)
        self.look(at_s + 2.1)

    @property
    def phase(self) -> str:
        """What the follower is doing."""
        return self.follower.phase

    @property
    def profile(self) -> Profile:
        """The reference in use."""
        return decode_profile(self.store.profile(self.store.meta()["profile"]))

    def windows(self, stream: str = "all") -> list[tuple[int, int, str]]:
        """The windows of a stream: minute from the start of the log, rows and state."""
        found = self.store.connection.execute(
            "SELECT start_us, rows, state FROM windows WHERE stream = ? ORDER BY window", (stream,)
        )
        return [((start_us - START_US) // (60 * US), rows, state) for start_us, rows, state in found]

    def close(self) -> None:
        self.follower.close()
        self.store.close()
        self.log.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """A log without rows that is followed in windows of a minute and at least 50 rows."""
    made = Watch(tmp_path)
    yield made
    made.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a new database."""
    connection = connect(tmp_path / "monitor.sqlite")
    yield connection
    connection.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()
