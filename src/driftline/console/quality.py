"""What the page of quality says: how good predictions were, how good they seem to be, and how late one knows."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from driftline.console import figures
from driftline.console.reading import Reading, WindowRow
from driftline.monitor.judge import ALL
from driftline.monitor.outcomes import Outcomes, Scope
from driftline.quality.delay import DAY_US, HOUR_US, MATURITIES_US, MINUTE_US, label_delays
from driftline.quality.estimate import Estimate, estimate
from driftline.quality.interval import Interval
from driftline.quality.metrics import Quality, quality

TOGETHER: Final = (24, 168, 720)
POINTS: Final = 48
MATURITIES: Final = tuple(
    us for us in MATURITIES_US if us in {MINUTE_US, 15 * MINUTE_US, HOUR_US, DAY_US, 7 * DAY_US, 30 * DAY_US}
)


class Line(NamedTuple):
    """One measure: as it was, and as scores that are probabilities promise it."""

    name: str
    hint: str
    measured: Interval | None
    estimated: Interval | None
    share: bool


class Group(NamedTuple):
    """The quality of one version or segment."""

    name: str
    predictions: int
    quality: Quality


class Asked(NamedTuple):
    """What is to be shown.

    Attributes:
        together: Of how many windows.
        segment: Of which segment; None for all traffic.
        version: Of which model version; None for all.
        maturity_us: Only what was known at that age, of windows so old; None for all that is known now.
    """

    together: int
    segment: str | None
    version: str | None
    maturity_us: int | None


def quality_page(reading: Reading, asked: Asked, now_us: int) -> dict[str, Any]:
    """Returns what the page shows."""
    outcomes = Outcomes(reading)
    known = outcomes.known()
    windows = reading.windows(ALL, asked.together)
    if asked.maturity_us is not None:
        windows = [window for window in windows if now_us - window.stop_us >= asked.maturity_us]
    shown: dict[str, Any] = {
        "asked": asked,
        "known": known,
        "windows": windows,
        "together_choices": TOGETHER,
        "maturities": MATURITIES,
        "segments": reading.streams()[1:],
        "versions": reading.versions(),
        "unreadable": int(reading.meta("unreadable_feedback") or "0"),
    }
    if not known.predictions or not windows:
        return shown
    scope = Scope(windows[0].first_cell, windows[-1].stop_cell, asked.segment, asked.version)
    scored = outcomes.scored(scope)
    found = quality(outcomes.labelled(scope, asked.maturity_us))
    return shown | {
        "predictions": scored.rows,
        "quality": found,
        "lines": _lines(found, estimate(scored)),
        "delays": label_delays(outcomes.cohorts(scope, now_us, round(reading.standing().window_s * 1e6))),
        "groups": {
            "Model versions": _groups(outcomes, scope, asked, "version", shown["versions"]),
            "Segments": _groups(outcomes, scope, asked, "segment", shown["segments"]),
        },
        "charts": {
            "accuracy": _over_time(outcomes, windows, asked),
            "reliability": _reliability(found),
        },
    }


def _lines(found: Quality, expected: Estimate) -> list[Line]:
    auc = found.ranking and found.ranking.auc
    calibration = found.calibration
    return [
        Line("Accuracy", "classes that came as predicted", found.accuracy, expected.accuracy, share=True),
        Line("AUC", "a positive has the higher score", auc, expected.ranking and expected.ranking.auc, share=False),
        Line("Precision", "of those called 1, were 1", found.precision, expected.precision, share=True),
        Line("Recall", "of those that were 1, called 1", found.recall, expected.recall, share=True),
        Line("Positives", "share of outcomes that are 1", found.positives, expected.positives, share=True),
        Line("Log loss", "nats; lower is better", found.log_loss, None, share=False),
        Line("Brier score", "0 to 1; lower is better", found.brier, expected.brier, share=False),
        Line("Calibration error", "score less share, mean", calibration and calibration.error, None, share=False),
    ]


def _groups(outcomes: Outcomes, scope: Scope, asked: Asked, field: str, names: Sequence[str]) -> list[Group]:
    if len(names) <= 1 and field == "version":
        return []
    scopes = [(name, scope._replace(**{field: name})) for name in names]  # type: ignore[arg-type]  # a field of text
    return [
        Group(name, outcomes.scored(own).rows, quality(outcomes.labelled(own, asked.maturity_us)))
        for name, own in scopes
    ]


def _over_time(outcomes: Outcomes, windows: Sequence[WindowRow], asked: Asked) -> dict[str, Any]:
    """Accuracy in a bounded number of points, each of some windows."""
    step = -(-len(windows) // POINTS)
    x, measured, estimated = [], [], []
    for at in range(0, len(windows), step):
        own = windows[at : at + step]
        scope = Scope(own[0].first_cell, own[-1].stop_cell, asked.segment, asked.version)
        was = quality(outcomes.labelled(scope, asked.maturity_us)).accuracy
        seems = estimate(outcomes.scored(scope)).accuracy
        x.append(own[-1].stop_us / figures.US)
        measured.append(was and was.value * 100)
        estimated.append(seems and seems.value * 100)
    lines = [
        figures.series("measured", measured, "current", "%"),
        figures.series("estimated from scores", estimated, "second", "%"),
    ]
    return {"kind": "time", "x": x, "series": lines}


def _reliability(found: Quality) -> dict[str, Any] | None:
    if found.calibration is None or len(found.calibration.curve) < 2:  # noqa: PLR2004 - a point is no curve
        return None
    curve = found.calibration.curve
    return {
        "kind": "curve",
        "x": [point.score for point in curve],
        "least": 1,
        "series": [
            figures.series("came true", [point.share.value for point in curve], "current"),
            figures.series("as promised", [point.score for point in curve], "line"),
        ],
    }
