"""What the monitor counts for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge

from driftline.monitor.judge import ALL, Judged

FOLDED: Final = Counter("driftline_monitor_rows_total", "Predictions that were folded into counts.")
BEHIND: Final = Gauge("driftline_monitor_behind_rows", "Committed rows of the log that are not folded yet.")
JUDGED: Final = Counter("driftline_monitor_windows_total", "Windows that were judged, of all streams.")
DRIFTING: Final = Gauge(
    "driftline_drift_alarm",
    "Whether the last window of all traffic raised an alarm about a column: 1 or 0.",
    ["column"],
)
STRENGTH: Final = Gauge(
    "driftline_drift_strength_ratio", "Evidence against a column in the last window; 1 raises an alarm.", ["column"]
)
MOVED: Final = Gauge(
    "driftline_drift_moved_ratio", "Share of a column's rows that have changed, in the last window.", ["column"]
)
MISSING: Final = Gauge("driftline_drift_missing_ratio", "Share of a column's rows without a value.", ["column"])


def show(judged: Judged) -> None:
    """Sets the gauges by a window of all traffic."""
    if judged.stream != ALL:
        return
    for verdict in judged.verdicts:
        name = verdict.column.name
        DRIFTING.labels(name).set(verdict.state == "alarm")
        STRENGTH.labels(name).set(verdict.evidence.answer.strength)
        MOVED.labels(name).set(verdict.moved)
        MISSING.labels(name).set(verdict.missing)
