"""River's detectors, the real ones, row by row as their users call them."""

import pickle
from typing import Any

from river import drift

from bench_drift.detector import Rows


class Adwin:
    """``river.drift.ADWIN`` with its default settings. On an alarm it forgets all, by itself."""

    by_row = True
    forgets = False

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        """Shows it the reference; alarms are not heard yet."""
        del window_rows, categorical
        self.detector = drift.ADWIN()
        observe(self.detector, reference)

    def observe(self, window: Rows) -> int:
        """Rows seen at its first alarm."""
        return observe(self.detector, window)

    def state_bytes(self) -> int:
        """The size of its pickle."""
        return len(pickle.dumps(self.detector))


class Kswin:
    """``river.drift.KSWIN`` with its default settings and a seed. On an alarm it forgets all, by itself.

    It looks at the latest hundred rows only, so it is shown only the reference's last.
    """

    by_row = True
    forgets = True

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        """Shows it the end of the reference; alarms are not heard yet."""
        del window_rows, categorical
        self.detector = drift.KSWIN(seed=5)
        observe(self.detector, reference[-self.detector.window_size :])

    def observe(self, window: Rows) -> int:
        """Rows seen at its first alarm."""
        return observe(self.detector, window)

    def state_bytes(self) -> int:
        """The size of its pickle."""
        return len(pickle.dumps(self.detector))


def observe(detector: Any, rows: Rows) -> int:
    """Shows all rows to the detector; returns how many it had seen at its first alarm, 0 if there was none."""
    first = 0
    for seen, value in enumerate(rows.tolist(), start=1):
        detector.update(value)
        if detector.drift_detected and not first:
            first = seen
    return first
