"""What the pages show, read from the monitor's store through a connection that cannot write."""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.profile import Profile, decode_profile
from driftline.errors import MonitorError
from driftline.monitor.judge import ALL
from driftline.monitor.store import SCHEMA_VERSION, unpacked

HOUR_US: Final = 3_600_000_000


class WindowRow(NamedTuple):
    """One window that was closed; ``state`` is ``judged``, or ``reference`` for one that is part of it."""

    window: int
    first_cell: int
    stop_cell: int
    start_us: int
    stop_us: int
    rows: int
    state: str


class VerdictRow(NamedTuple):
    """What was said of one column in one window; see :class:`driftline.monitor.judge.Verdict`."""

    window: int
    name: str
    state: str
    kind: str
    detector: str
    question: str
    label: str
    log_p: float
    log_risk: float
    span_windows: int
    span_rows: int
    since_us: int
    moved: float
    psi: float
    js: float
    ks: float
    wasserstein: float | None
    missing: float
    out_of_range: float

    @property
    def strength(self) -> float:
        """How much of what an alarm takes is there."""
        return self.log_p / self.log_risk if self.log_risk else 0.0


class TrafficRow(NamedTuple):
    """What the API answered in a stretch of time that ended at ``at_us``."""

    at_us: int
    seconds: float
    requests: int
    refused: int
    failed: int
    p50_s: float | None
    p99_s: float | None


class Standing(NamedTuple):
    """How the monitor stands, by its own word.

    Attributes:
        phase: What it is doing, see :data:`driftline.monitor.follow.Phase`; empty if it has not said yet.
        trouble: Why it cannot go on.
        log_rows: Rows of the log.
        position_row: Rows that were read.
        waiting_rows: Predictions in windows that are still open.
        noted_us: When it said so.
        plan: Its settings, by name.
        provisional: Whether the first rows of the log stand in for a reference.
        profile: The reference.
        adopted_us: When it was taken up.
    """

    phase: str
    trouble: str
    log_rows: int
    position_row: int
    waiting_rows: int
    noted_us: int
    plan: dict[str, str]
    provisional: bool
    profile: Profile | None
    adopted_us: int

    @property
    def min_rows(self) -> int:
        """Rows that a window takes at least."""
        return int(self.plan.get("min_rows", "0"))

    @property
    def window_s(self) -> float:
        """Length of a window; 0 for windows of rows."""
        return int(self.plan.get("width_us", "0")) / 1_000_000


class Reading:
    """One moment of the store: all that is asked of it is of that moment.

    Args:
        connection: In a transaction of reading.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def meta(self, key: str) -> str:
        """Returns a single value, or nothing."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def standing(self) -> Standing:
        """Returns how the monitor stands."""
        meta = dict(self.connection.execute("SELECT key, value FROM meta"))
        plan = dict(part.split("=", 1) for part in meta.get("plan", "").split(";") if "=" in part)
        profile, adopted_us = None, 0
        if "profile" in meta:
            query = "SELECT adopted_us, content FROM profiles WHERE profile = ?"
            adopted_us, content = self.connection.execute(query, (meta["profile"],)).fetchone()
            profile = _decoded(content)
        return Standing(
            meta.get("phase", ""),
            meta.get("trouble", ""),
            int(meta.get("log_rows", "0")),
            int(meta.get("position_row", "0")),
            int(meta.get("waiting_rows", "0")),
            int(meta.get("noted_us", "0")),
            plan,
            meta.get("provisional") == "1",
            profile,
            adopted_us,
        )

    # -- windows and verdicts

    def streams(self) -> list[str]:
        """Returns what is judged: all traffic first, then the segments."""
        found = [row[0] for row in self.connection.execute("SELECT stream FROM streams ORDER BY stream")]
        return sorted(found, key=lambda stream: stream != ALL)

    def windows(self, stream: str, limit: int, up_to: int | None = None) -> list[WindowRow]:
        """Returns the newest windows of a stream, the oldest of them first.

        Args:
            stream: Which.
            limit: How many at most.
            up_to: The newest of them; None is the newest there is.
        """
        rows = self.connection.execute(
            "SELECT window, first_cell, stop_cell, start_us, stop_us, rows, state FROM windows "
            "WHERE stream = ? AND window <= ? ORDER BY window DESC LIMIT ?",
            (stream, (1 << 62) if up_to is None else up_to, limit),
        )
        return [WindowRow(*row) for row in rows][::-1]

    def verdicts(self, windows: Sequence[WindowRow], name: str | None = None) -> dict[str, list[VerdictRow]]:
        """Returns the verdicts of windows by column, in the order of the windows.

        Args:
            windows: Of one stream, in order.
            name: Only of this column.
        """
        if not windows:
            return {}
        query = (
            "SELECT verdicts.* FROM verdicts JOIN windows USING (window) WHERE window BETWEEN ? AND ? "
            "AND stream = (SELECT stream FROM windows WHERE window = ?)"
        )
        arguments: tuple[object, ...] = (windows[0].window, windows[-1].window, windows[0].window)
        if name is not None:
            query, arguments = f"{query} AND name = ?", (*arguments, name)
        found: dict[str, list[VerdictRow]] = {}
        for row in self.connection.execute(f"{query} ORDER BY window", arguments):
            verdict = VerdictRow(*row)
            found.setdefault(verdict.name, []).append(verdict)
        return found

    # -- counts

    def versions(self) -> list[str]:
        """Returns the model versions that have rows."""
        query = "SELECT version FROM cells UNION SELECT version FROM hours ORDER BY 1"
        return [row[0] for row in self.connection.execute(query)]

    def counts(self, windows: Sequence[WindowRow], stream: str, version: str | None, size: int) -> NDArray[np.int64]:
        """Returns the sum of the cells of windows, shape ``(size,)``: of all that came by now, late rows too.

        Cells that were rolled up by the hour are taken by whole hours that begin within.
        """
        summed = np.zeros(size, np.int64)
        if not windows:
            return summed
        where, chosen = "", []
        for column, value in (("segment", None if stream == ALL else stream), ("version", version)):
            if value is not None:
                where += f" AND {column} = ?"
                chosen.append(value)
        spans = [
            ("cells", "cell", windows[0].first_cell, windows[-1].stop_cell),
            ("hours", "hour", windows[0].start_us // HOUR_US, windows[-1].stop_us // HOUR_US + 1),
        ]
        for table, key, first, stop in spans:
            query = f"SELECT counts FROM {table} WHERE {key} >= ? AND {key} < ?{where}"  # noqa: S608 - names of ours
            for (counts,) in self.connection.execute(query, (first, stop, *chosen)):
                summed += unpacked(counts)
        return summed

    # -- traffic

    def traffic(self, since_us: int) -> list[TrafficRow]:
        """Returns what the API answered since a time, in order."""
        query = "SELECT at_us, seconds, requests, refused, failed, p50_s, p99_s FROM traffic WHERE at_us > ? ORDER BY 1"
        return [TrafficRow(*row) for row in self.connection.execute(query, (since_us,))]

    # -- where in the log

    def spans_at(self, us: int, slack_us: int) -> list[tuple[int, int]]:
        """Returns the stretches of rows that hold events of about this time, the nearest to it first."""
        query = "SELECT first_row, stop_row FROM spans WHERE min_us <= ? AND max_us >= ? ORDER BY abs(max_us - ?)"
        return list(self.connection.execute(query, (us + slack_us, us - slack_us, us)))


@contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """Opens the store for one page.

    Raises:
        MonitorError: There is none, or it cannot be read.
    """
    if not path.exists():
        raise MonitorError("The monitor has not begun yet.")
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA_VERSION:
                raise MonitorError(
                    "The monitor has not begun yet." if version == 0 else f"{path} is of another version."
                )
            connection.execute("BEGIN")
            yield Reading(connection)
    except sqlite3.Error as error:
        raise MonitorError(f"{path} cannot be read: {error}") from error


@lru_cache(maxsize=4)
def _decoded(content: bytes) -> Profile:
    """The same profile is asked for on every page."""
    return decode_profile(zlib.decompress(content))
