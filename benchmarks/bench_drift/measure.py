"""Counts alarms where nothing changed, and the rows until an alarm where something did."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from bench_drift.detector import Detector, Rows
from bench_drift.streams import Change, Size, Source, Stream, changed

QUIET_WINDOWS = 5
PIECE_ROWS = 200

Detectors = Mapping[str, Callable[[], Detector]]


@dataclass
class Alarms:
    """Alarms of one detector without a change.

    Attributes:
        alarms: Windows in which it alarmed.
        windows: Windows that it saw.
    """

    alarms: int = 0
    windows: int = 0

    def add(self, other: "Alarms") -> None:
        """Adds what was counted elsewhere."""
        self.alarms += other.alarms
        self.windows += other.windows


@dataclass
class Delays:
    """Delays of one detector after a change.

    Attributes:
        rows: Rows from the change to the first alarm, one for each repetition that had one.
        missed: Repetitions without an alarm.
    """

    rows: list[int] = field(default_factory=list)
    missed: int = 0

    def add(self, other: "Delays") -> None:
        """Adds what was measured elsewhere."""
        self.rows += other.rows
        self.missed += other.missed

    @property
    def repetitions(self) -> int:
        """How often the change was made."""
        return len(self.rows) + self.missed

    def median_rows(self) -> float:
        """The median delay, a missed change counting as an endless one."""
        ranked = sorted([*map(float, self.rows), *[np.inf] * self.missed])
        low, high = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
        return low if low == high else (low + high) / 2


def count_alarms(
    source: Source, size: Size, detectors: Detectors, rng: np.random.Generator, windows: int
) -> dict[str, Alarms]:
    """Alarms of each detector in one stream without a change, all of them seeing the same rows."""
    stream = source(rng, size)
    fitted = fit(detectors, stream, size)
    found = {name: Alarms() for name in fitted}
    for rows in islice(stream.windows, windows):
        for name, detector in fitted.items():
            found[name].windows += 1
            found[name].alarms += bool(detector.observe(rows))
    return found


def time_to_alarm(
    source: Source, change: Change, size: Size, detectors: Detectors, rng: np.random.Generator, *, horizon: int
) -> dict[str, Delays]:
    """The delay of each detector in one stream that changes after some windows, all of them seeing the same rows.

    The change comes with the beginning of a window. Alarms before it are not counted, and reset the detector.
    """
    stream = changed(source(rng, size), change, QUIET_WINDOWS, rng)
    waiting = fit(detectors, stream, size)
    found: dict[str, Delays] = {}
    for rows in islice(stream.windows, QUIET_WINDOWS):
        observe_all([detector for detector in waiting.values() if not detector.forgets], rows)
    passed = 0
    for rows in islice(stream.windows, horizon):
        for name, detector in list(waiting.items()):
            if seen := first_alarm(detector, rows):
                found[name] = Delays([passed + seen])
                del waiting[name]
        passed += len(rows)
        if not waiting:
            break
    return {**found, **{name: Delays(missed=1) for name in waiting}}


def fit(detectors: Detectors, stream: Stream, size: Size) -> dict[str, Detector]:
    """New detectors that know the stream's reference."""
    fitted = {name: make() for name, make in detectors.items()}
    for detector in fitted.values():
        detector.fit(stream.reference, size.window_rows, categorical=stream.categorical)
    return fitted


def observe_all(detectors: Iterable[Detector], rows: Rows) -> None:
    """Shows them a window in which nothing is counted."""
    for detector in detectors:
        detector.observe(rows)


def first_alarm(detector: Detector, rows: Rows) -> int:
    """Rows of the window seen at its first alarm, 0 without one; who sees row after row is not shown more than that."""
    if not detector.by_row:
        return detector.observe(rows)
    for start in range(0, len(rows), PIECE_ROWS):
        if seen := detector.observe(rows[start : start + PIECE_ROWS]):
            return start + seen
    return 0
