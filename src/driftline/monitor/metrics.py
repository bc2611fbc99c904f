"""What the monitor counts for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge

from driftline.monitor.judge import ALL, Judged
from driftline.monitor.store import MonitorStore

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
        strength = verdict.evidence.answer.strength
        _show(verdict.column.name, verdict.state, strength, verdict.moved, verdict.missing)


def show_last(store: MonitorStore) -> None:
    """Sets the gauges by the last window of all traffic that is in a store, so that a restart ends no alarm."""
    forget()
    query = (
        "SELECT name, state, log_p / log_risk, moved, missing FROM verdicts WHERE window = "
        "(SELECT max(window) FROM windows WHERE stream = ? AND state = 'judged')"
    )
    for name, state, strength, moved, missing in store.connection.execute(query, (ALL,)):
        _show(name, state, strength, moved, missing)


def forget() -> None:
    """Takes the gauges back: nothing has been judged under the reference in use."""
    for gauge in (DRIFTING, STRENGTH, MOVED, MISSING):
        gauge.clear()


def _show(column: str, state: str, strength: float, moved: float, missing: float) -> None:
    DRIFTING.labels(column).set(state == "alarm")
    STRENGTH.labels(column).set(strength)
    MOVED.labels(column).set(moved)
    MISSING.labels(column).set(missing)
