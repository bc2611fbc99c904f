"""Replays a log or a table through the monitor, and says when it would have raised an alarm."""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.layout import Values
from driftline.drift.profile import Profile
from driftline.eventlog.reader import LogReader
from driftline.monitor.fold import Folder, Segments, segment_counts
from driftline.monitor.follow import Plan
from driftline.monitor.judge import ALL, Judge, Judged
from driftline.monitor.lines import Rows
from driftline.monitor.segments import Counts, counts_by_segment, judged_segments
from driftline.monitor.sources import CHUNK_ROWS
from driftline.monitor.store import FILE_NAME, MonitorStore

AFTER_THE_LAST: Final = 1 << 62
US: Final = 1_000_000
DAY_US: Final = 86_400 * US

Progress = Callable[[int, int], None]


class Alarm(NamedTuple):
    """One alarm, from its first window to the last before it was quiet for long enough.

    Attributes:
        stream: ``all``, or a segment.
        column: Which one.
        kind: What sort of change.
        label: In which direction, or in which bin.
        opened_us: End of the window that raised it.
        since_us: When it began, as far as can be told.
        closed_us: End of the window that closed it; None if none did.
        moved: Share of the rows that had changed when it was raised.
    """

    stream: str
    column: str
    kind: str
    label: str
    opened_us: int
    since_us: int
    closed_us: int | None
    moved: float


class Outcome(NamedTuple):
    """What one budget would have brought.

    Attributes:
        days_a_false_alarm: The budget.
        alarms: In the order of time.
        windows: Windows that were judged, of all traffic.
        rows: Rows in them.
        days: From the beginning of the first to the end of the last.
        risk: Expected false alarms of all traffic in a window, by this budget.
    """

    days_a_false_alarm: float
    alarms: tuple[Alarm, ...]
    windows: int
    rows: int
    days: float
    risk: float


class Replay:
    """The counts of what is to be replayed, in a store that is thrown away afterwards.

    Args:
        profile: The reference.
        plan: What the monitor would have been told to watch.
        close_after: Quiet windows in a row that end an alarm.
    """

    def __init__(self, profile: Profile, plan: Plan, close_after: int) -> None:
        self._profile = profile
        self._plan = plan
        self._close_after = close_after
        self._folder = tempfile.TemporaryDirectory(prefix="driftline-backtest-")
        self._store = MonitorStore(Path(self._folder.name) / FILE_NAME, create=True)
        self._counts = Folder(self._store, profile, plan.slicing, plan.segment_by)
        self._segments: Counts = {}

    @property
    def rows_a_day(self) -> float | None:
        """The traffic of what was counted; None if it takes no time."""
        cells = self._store.connection.execute("SELECT min(start_us), max(stop_us), sum(rows) FROM cells").fetchone()
        first_us, last_us, rows = cells
        return None if rows is None or last_us <= first_us else float(rows / (last_us - first_us) * DAY_US)

    def close(self) -> None:
        """Throws the store away."""
        self._store.close()
        self._folder.cleanup()

    def take_log(self, log: LogReader, first_row: int, stop_row: int, progress: Progress) -> None:
        """Counts rows of a log.

        Raises:
            LogDamagedError: It cannot be read.
        """
        origin = self._profile.origin
        if self._plan.segment_by and origin.log_id == log.log_id and None not in (origin.first_row, origin.stop_row):
            assert origin.first_row is not None
            assert origin.stop_row is not None
            rows = (origin.first_row, origin.stop_row)
            self._segments = counts_by_segment(log, self._profile, self._plan.segment_by, *rows)
        numbered = log.numbered(first_row, stop_row)
        while chunk := list(itertools.islice(numbered, CHUNK_ROWS)):
            self._counts.fold(chunk, chunk[-1][0] + 1)
            progress(chunk[-1][0] - first_row, stop_row - first_row)

    def take_table(
        self, times_us: NDArray[np.int64], values: Mapping[str, Values], first_row: int, progress: Progress
    ) -> None:
        """Counts the rows of a table.

        Args:
            times_us: When each was, microseconds since 1970, shape ``(rows,)``.
            values: The values of each column of the profile, shape ``(rows,)``.
            first_row: Where to begin.
            progress: Told of the rows.
        """
        whole = [values[column.name] for column in self._profile.columns]
        if self._plan.segment_by and first_row:
            segments = Segments(self._profile, self._plan.segment_by)
            self._segments = segment_counts(segments, self._counts.layout, [column[:first_row] for column in whole])
        columns = [column[first_row:] for column in whole]
        for rows in _slices(times_us[first_row:], columns):
            self._counts.count(rows, int(rows.numbers[-1]) + 1)
            progress(int(rows.numbers[-1]), len(times_us))

    def judge(self, days_a_false_alarm: float) -> Outcome:
        """Returns what this budget would have brought."""
        plan = self._plan._replace(days_a_false_alarm=days_a_false_alarm)
        segments = judged_segments(self._profile, self._segments)
        episodes = _Episodes(self._close_after)
        self._store.forget_judgements()
        rules = plan.rules(segments, self.rows_a_day)
        judge = Judge(self._store, self._profile, plan.slicing, rules, episodes.take, segments=segments)
        judge.judge(AFTER_THE_LAST)
        return episodes.outcome(days_a_false_alarm, rules.false_alarms_a_window[ALL])


def _slices(times_us: NDArray[np.int64], columns: list[Values]) -> Iterator[Rows]:
    for at in range(0, len(times_us), CHUNK_ROWS):
        times = times_us[at : at + CHUNK_ROWS]
        yield Rows(
            np.arange(at, at + len(times)),
            times,
            [""] * len(times),
            [""] * len(times),
            [column[at : at + CHUNK_ROWS] for column in columns],
            np.zeros(0),
            np.zeros(0, np.int64),
        )


class _Episodes:
    """Joins alarms of windows that follow each other."""

    def __init__(self, close_after: int) -> None:
        self._close_after = close_after
        self._open: dict[tuple[str, str], tuple[Alarm, int]] = {}
        self._closed: list[Alarm] = []
        self._windows = self._rows = 0
        self._first_us: int | None = None
        self._last_us = 0

    def take(self, judged: Judged) -> None:
        if not judged.verdicts:
            return
        if judged.stream == ALL:
            self._windows += 1
            self._rows += judged.cell.rows
            self._first_us = judged.start_us if self._first_us is None else self._first_us
            self._last_us = max(self._last_us, judged.stop_us)
        for verdict in judged.verdicts:
            key = (judged.stream, verdict.column.name)
            if verdict.state == "alarm":
                alarm = Alarm(
                    *key, verdict.kind, verdict.evidence.answer.label, judged.stop_us, verdict.since_us, None,
                    verdict.moved,
                )  # fmt: skip
                self._open[key] = (self._open[key][0] if key in self._open else alarm, 0)
            elif key in self._open:
                alarm, quiet = self._open[key]
                self._open[key] = (alarm, quiet + 1)
                if quiet + 1 >= self._close_after:
                    del self._open[key]
                    self._closed.append(alarm._replace(closed_us=judged.stop_us))

    def outcome(self, days_a_false_alarm: float, risk: float) -> Outcome:
        alarms = sorted([*self._closed, *(alarm for alarm, _ in self._open.values())], key=lambda it: it.opened_us)
        days = 0.0 if self._first_us is None else (self._last_us - self._first_us) / US / 86_400
        return Outcome(days_a_false_alarm, tuple(alarms), self._windows, self._rows, days, risk)
