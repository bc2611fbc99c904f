"""What the page of quality says: how good predictions were, how good they seem to be, and how late one knows."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from driftline.console import figures
from driftline.console.measures import Measures, measures_of
from driftline.console.reading import Reading, WindowRow
from driftline.drift.profile import Profile
from driftline.monitor.judge import ALL
from driftline.monitor.outcome_fold import UNKNOWN, UNREADABLE
from driftline.monitor.outcomes import Outcomes, Scope
from driftline.quality.counting import Counting, counting_of
from driftline.quality.delay import DAY_US, HOUR_US, MATURITIES_US, MINUTE_US, label_delays

TOGETHER: Final = (24, 168, 720)
POINTS: Final = 48
MATURITIES: Final = tuple(
    us for us in MATURITIES_US if us in {MINUTE_US, 15 * MINUTE_US, HOUR_US, DAY_US, 7 * DAY_US, 30 * DAY_US}
)


class Group(NamedTuple):
    """The quality of one version or segment."""

    name: str
    predictions: int
    measures: Measures


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
    standing = reading.standing()
    profile = standing.profile
    output, classes = (profile.output, profile.classes) if profile else ("binary", (0, 1))
    counting = counting_of(output, classes)
    outcomes = Outcomes(reading, counting)
    known = outcomes.known()
    windows = reading.windows(ALL, asked.together)
    if asked.maturity_us is not None:
        windows = [window for window in windows if now_us - window.stop_us >= asked.maturity_us]
    shown: dict[str, Any] = {
        "asked": asked,
        "output": output,
        "classes": classes,
        "example": classes[-1] if classes else 12.5,
        "known": known,
        "windows": windows,
        "together_choices": TOGETHER,
        "maturities": MATURITIES,
        "segments": reading.streams()[1:],
        "versions": reading.versions(),
        "unreadable": int(reading.meta(UNREADABLE) or "0"),
        "unknown": int(reading.meta(UNKNOWN) or "0"),
    }
    if profile is None or not known.predictions or not windows:
        return shown
    scope = Scope(windows[0].first_cell, windows[-1].stop_cell, asked.segment, asked.version)
    asking = _Asking(outcomes, profile, asked.maturity_us)
    found = asking.measures(scope)
    over_time = _over_time(asking, windows, asked)
    return shown | {
        "predictions": counting.scored_rows(outcomes.scored(scope)),
        "measures": found,
        "delays": label_delays(outcomes.cohorts(scope, now_us, round(standing.window_s * 1e6))),
        "groups": {
            "Model versions": _groups(asking, scope, "version", shown["versions"], counting),
            "Segments": _groups(asking, scope, "segment", shown["segments"], counting),
        },
        "charts": {"measure": over_time, "reliability": _reliability(found)},
    }


class _Asking(NamedTuple):
    """Whose outcomes are asked for, and how old they are to be."""

    outcomes: Outcomes
    profile: Profile
    maturity_us: int | None

    def measures(self, scope: Scope) -> Measures:
        labelled = self.outcomes.labelled(scope, self.maturity_us)
        return measures_of(self.profile, labelled, self.outcomes.scored(scope))


def _groups(asking: _Asking, scope: Scope, field: str, names: Sequence[str], counting: Counting) -> list[Group]:
    if len(names) <= 1 and field == "version":
        return []
    scopes = [(name, scope._replace(**{field: name})) for name in names]  # type: ignore[arg-type]  # a field of text
    return [
        Group(name, counting.scored_rows(asking.outcomes.scored(own)), asking.measures(own)) for name, own in scopes
    ]


def _over_time(asking: _Asking, windows: Sequence[WindowRow], asked: Asked) -> dict[str, Any]:
    """The first measure in a bounded number of points, each of some windows."""
    step = -(-len(windows) // POINTS)
    x, measured, estimated = [], [], []
    share = True
    for at in range(0, len(windows), step):
        own = windows[at : at + step]
        first = asking.measures(Scope(own[0].first_cell, own[-1].stop_cell, asked.segment, asked.version)).lines[0]
        share = first.share
        scale = 100 if share else 1
        x.append(own[-1].stop_us / figures.US)
        measured.append(first.measured and first.measured.value * scale)
        estimated.append(first.estimated and first.estimated.value * scale)
    unit = "%" if share else ""
    lines = [figures.series("measured", measured, "current", unit)]
    if asking.profile.output == "binary":
        lines.append(figures.series("estimated from scores", estimated, "second", unit))
    return {"kind": "time", "x": x, "series": lines}


def _reliability(found: Measures) -> dict[str, Any] | None:
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
