"""What is drawn: the points of charts as the browser's library takes them, and small pictures as SVG shapes."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from driftline.console.distribution import Distribution
from driftline.console.reading import TrafficRow, VerdictRow, WindowRow

US: Final = 1_000_000
SPARK_WINDOWS: Final = 48
SPARK_WIDTH: Final = 240.0
SPARK_HEIGHT: Final = 44.0
SPARK_TOP: Final = 2.0
"""Strength at the upper rim of a small picture; an alarm is at half of the height."""
TRAFFIC_POINTS: Final = 240


class Bar(NamedTuple):
    """One window in a small picture: a rectangle, and what the window's state is."""

    x: float
    y: float
    width: float
    height: float
    state: str


def spark(windows: Sequence[WindowRow], verdicts: Iterable[VerdictRow]) -> list[Bar]:
    """Returns a bar for each window, as high as the evidence is strong."""
    by_window = {verdict.window: verdict for verdict in verdicts}
    step = SPARK_WIDTH / max(len(windows), 12)
    bars = []
    for at, window in enumerate(windows):
        verdict = by_window.get(window.window)
        strength = min(verdict.strength, SPARK_TOP) if verdict else 0.0
        height = max(strength / SPARK_TOP * SPARK_HEIGHT, 1.5)
        state = verdict.state if verdict else "reference"
        bars.append(
            Bar(round(at * step, 2), round(SPARK_HEIGHT - height, 2), round(step * 0.72, 2), round(height, 2), state)
        )
    return bars


def series(label: str, values: Sequence[float | None], role: str, unit: str = "") -> dict[str, Any]:
    """Returns one line of a chart.

    Args:
        label: What it is.
        values: One for each point of the axis; None is a gap.
        role: How it is drawn: ``current``, ``reference``, ``second`` or ``bad``.
        unit: Of the values.
    """
    return {"label": label, "values": values, "role": role, "unit": unit}


def histogram(drawn: Distribution) -> dict[str, Any] | None:
    """Returns the chart of a number's two distributions; None for what is listed instead."""
    if not drawn.edges:
        return None

    def steps(values: list[float | None]) -> list[float | None]:
        return [None if value is None else value * 100 for value in [*values, values[-1]]]

    return {
        "kind": "histogram",
        "x": drawn.edges,
        "series": [
            series("reference", steps([bar.reference for bar in drawn.bars]), "reference", "%"),
            series("current", steps([bar.current for bar in drawn.bars]), "current", "%"),
        ],
    }


def effect_chart(windows: Sequence[WindowRow], verdicts: Sequence[VerdictRow]) -> dict[str, Any]:
    """Returns the chart of how many rows have changed, window by window, with the alarms marked."""
    points = along(windows, verdicts)
    return {
        "kind": "time",
        "sync": "windows",
        "windows": [window.window for window in windows],
        "x": [window.stop_us / US for window in windows],
        "marks": [at for at, verdict in enumerate(points) if verdict and verdict.state == "alarm"],
        "series": [series("rows changed", [it and it.moved * 100 for it in points], "current", "%")],
    }


def evidence_chart(windows: Sequence[WindowRow], verdicts: Sequence[VerdictRow]) -> dict[str, Any]:
    """Returns the chart of the strength of the evidence, with the line from which on it is an alarm."""
    points = along(windows, verdicts)
    return {
        "kind": "time",
        "sync": "windows",
        "windows": [window.window for window in windows],
        "x": [window.stop_us / US for window in windows],
        "marks": [at for at, verdict in enumerate(points) if verdict and verdict.state == "alarm"],
        "line": 1,
        "least": 1.2,
        "series": [series("evidence", [it and it.strength for it in points], "current", "")],
    }


def outside_chart(windows: Sequence[WindowRow], verdicts: Sequence[VerdictRow], outside: str) -> dict[str, Any]:
    """Returns the chart of the rows without a value, and of those with one that the reference has not.

    Args:
        windows: Along the axis.
        verdicts: Of one column.
        outside: What the latter are called.
    """
    points = along(windows, verdicts)
    return {
        "kind": "time",
        "sync": "windows",
        "windows": [window.window for window in windows],
        "x": [window.stop_us / US for window in windows],
        "least": 1,
        "series": [
            series("missing", [it and it.missing * 100 for it in points], "current", "%"),
            series(outside, [it and it.out_of_range * 100 for it in points], "second", "%"),
        ],
    }


def along(windows: Sequence[WindowRow], verdicts: Sequence[VerdictRow]) -> list[VerdictRow | None]:
    """Returns the verdict of each window; None where it has none."""
    by_window = {verdict.window: verdict for verdict in verdicts}
    return [by_window.get(window.window) for window in windows]


class Traffic(NamedTuple):
    """Traffic of a stretch of time: at most so many points as a chart has room for."""

    at_us: int
    requests_per_s: float
    failed_share: float
    p50_s: float | None
    p99_s: float | None


def traffic_points(rows: Sequence[TrafficRow]) -> list[Traffic]:
    """Returns traffic in a bounded number of points: rates are means, p50 is a weighted mean, p99 the highest."""
    step = -(-len(rows) // TRAFFIC_POINTS) or 1
    return [traffic_of(rows[at : at + step]) for at in range(0, len(rows), step)]


def traffic_of(rows: Sequence[TrafficRow]) -> Traffic:
    """Returns some rows of traffic as one; there must be one at least."""
    requests = sum(row.requests for row in rows)
    seconds = sum(row.seconds for row in rows)
    timed = [row for row in rows if row.p50_s is not None and row.requests]
    weight = sum(row.requests for row in timed)
    p99s = [row.p99_s for row in rows if row.p99_s is not None]
    return Traffic(
        rows[-1].at_us,
        requests / seconds if seconds else 0.0,
        sum(row.refused + row.failed for row in rows) / requests if requests else 0.0,
        sum((row.p50_s or 0.0) * row.requests for row in timed) / weight if weight else None,
        max(p99s) if p99s else None,
    )


def traffic_charts(points: Sequence[Traffic]) -> dict[str, dict[str, Any]]:
    """Returns the charts of traffic, of latency, and of errors."""
    x = [point.at_us / US for point in points]

    def chart(least: float, *lines: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "time", "sync": "traffic", "x": x, "least": least, "series": list(lines)}

    return {
        "traffic": chart(1, series("requests", [it.requests_per_s for it in points], "current", "/s")),
        "latency": chart(
            0.001,
            series("p99", [it.p99_s and it.p99_s * 1000 for it in points], "current", "ms"),
            series("p50", [it.p50_s and it.p50_s * 1000 for it in points], "second", "ms"),
        ),
        "errors": chart(1, series("errors", [it.failed_share * 100 for it in points], "bad", "%")),
    }
