"""What the page of one column says: then and now on one axis, and how it came to that."""

from typing import Any, Final, NamedTuple

from driftline.console import figures, words
from driftline.console.distribution import distribution
from driftline.console.reading import Reading, WindowRow
from driftline.drift.bins import CategoryBins
from driftline.drift.layout import Layout
from driftline.errors import ProfileError
from driftline.monitor.judge import ALL

HISTORY_WINDOWS: Final = 240
TOGETHER: Final = (1, 6, 24, 168)
"""Windows that can be looked at as one."""


class Asked(NamedTuple):
    """What is to be shown.

    Attributes:
        name: Of the column.
        stream: Whose rows: ``all``, or a segment.
        version: Only the rows of this model version; None for all.
        window: The last window; None for the latest.
        together: How many windows, up to that one, are taken as one.
    """

    name: str
    stream: str
    version: str | None
    window: int | None
    together: int


def column_page(reading: Reading, asked: Asked) -> dict[str, Any]:
    """Returns what the page shows.

    Raises:
        ProfileError: There is no reference, or no such column.
    """
    name, stream, version, window, together = asked
    standing = reading.standing()
    if standing.profile is None:
        raise ProfileError("There is no reference yet, and so there are no columns.")
    column = standing.profile.column(name)
    windows = reading.windows(stream, HISTORY_WINDOWS)
    shown = reading.windows(stream, together, window)
    verdicts = reading.verdicts(windows, name).get(name, [])
    layout = Layout(standing.profile.columns)
    summed = reading.counts(shown, stream, version, layout.size)
    counts = layout.split(summed)[standing.profile.columns.index(column)]
    drawn = distribution(column, counts)
    verdict = next((it for it in reading.verdicts(shown[-1:], name).get(name, [])), None)
    category = isinstance(column.bins, CategoryBins)
    return {
        "standing": standing,
        "column": column,
        "kind": "category" if category else "number",
        "stream": stream,
        "streams": reading.streams() or [ALL],
        "version": version,
        "versions": reading.versions(),
        "together": together,
        "together_choices": TOGETHER,
        "window": shown[-1] if shown else None,
        "first": shown[0] if shown else None,
        "latest": window is None,
        "rows": int(counts.sum()),
        "reference_rows": sum(column.counts),
        "neighbours": _neighbours(reading, stream, shown[-1]) if shown else (None, None),
        "drawn": drawn,
        "histogram": figures.histogram(drawn),
        "verdict": verdict,
        "sentence": words.said(verdict.question, verdict.label) if verdict and verdict.state != "quiet" else "",
        "history": list(reversed(list(zip(windows, figures.along(windows, verdicts), strict=True)))),
        "outside_name": "unseen" if category else "out of range",
        "charts": {
            "effect": figures.effect_chart(windows, verdicts),
            "evidence": figures.evidence_chart(windows, verdicts),
            "outside": figures.outside_chart(windows, verdicts, "unseen" if category else "out of range"),
        }
        if windows
        else {},
    }


def _neighbours(reading: Reading, stream: str, window: WindowRow) -> tuple[int | None, int | None]:
    """Returns the windows before and after one."""
    found = [
        reading.connection.execute(
            f"SELECT {chosen}(window) FROM windows WHERE stream = ? AND window {than} ?",  # noqa: S608 - words of ours
            (stream, window.window),
        ).fetchone()[0]
        for chosen, than in (("max", "<"), ("min", ">"))
    ]
    return found[0], found[1]
