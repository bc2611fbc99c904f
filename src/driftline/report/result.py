"""What a report says: the verdict, and what it rests on, in sentences and as JSON."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from driftline import __version__
from driftline.report.evidently import Comparison, Score
from driftline.report.windows import Window, Windows

SCHEMA_VERSION = 1
"""Of the JSON: grows when a key changes its meaning or goes."""


@dataclass(frozen=True)
class Isolated:
    """A column that is no part of the report, and why.

    Attributes:
        name: The column.
        reason: Why it was not compared.
        unreadable: A feature of which the report should say something and cannot, so "no drift" is not known.
    """

    name: str
    reason: str
    unreadable: bool = False


@dataclass(frozen=True)
class DriftReport:
    """A verdict on two windows.

    Attributes:
        windows: What was compared.
        comparison: What Evidently says of it.
        missing: Rows without a value in the reference and in the current window, by compared column.
        isolated: Columns that could not be compared.
        notes: Sentences a reader of the verdict should know.
        created_at: When it was made.
    """

    windows: Windows
    comparison: Comparison
    missing: dict[str, tuple[int, int]]
    isolated: tuple[Isolated, ...]
    notes: tuple[str, ...]
    created_at: datetime

    @property
    def drift(self) -> bool:
        """Evidently's verdict on the dataset."""
        return self.comparison.drift

    @property
    def drifted(self) -> list[str]:
        """The names of the drifted columns."""
        return [score.name for score in self.comparison.scores if score.drifted]

    @property
    def verdict(self) -> str:
        """The verdict in one line."""
        found = self.comparison
        sentence = (
            f"{'Drift' if found.drift else 'No drift'}: {len(self.drifted)} of {len(found.scores)} columns drifted "
            f"({found.share:.0%}; drift means {found.threshold:.0%} or more)."
        )
        return f"{sentence} Not compared: {', '.join(it.name for it in self.isolated)}." if self.isolated else sentence

    def as_dict(self) -> dict[str, Any]:
        """Returns what ``--json`` prints; docs/report.md describes it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "created_at": _rfc3339(self.created_at),
            "drift": self.drift,
            "verdict": self.verdict,
            "share": self.comparison.share,
            "threshold": self.comparison.threshold,
            "drifted": self.drifted,
            "columns": [self._column(score) for score in self.comparison.scores],
            "isolated": [{"name": it.name, "reason": it.reason} for it in self.isolated],
            "reference": _window(self.windows.reference),
            "current": _window(self.windows.current),
            "notes": list(self.notes),
            "versions": {"driftline": __version__, "python": platform.python_version(), **self.comparison.versions},
        }

    def _column(self, score: Score) -> dict[str, Any]:
        reference, current = self.missing[score.name]
        return {
            "name": score.name,
            "type": score.type,
            "method": score.method,
            "score": score.score,
            "threshold": score.threshold,
            "drifts_when": score.drifts_when,
            "drifted": score.drifted,
            "missing": {"reference": reference, "current": current},
        }


def describe(window: Window) -> str:
    """Returns a line on where a window comes from; rows are counted from 1."""
    rows = f"{len(window):,}"
    place = window.file or "the log"
    if window.chosen != "drawn":
        parts = [f"the {window.chosen} {rows} predictions of {place}"]
    elif window.out_of == len(window):
        parts = [f"all {rows} rows of {window.file or 'the time range'}"]
    else:
        parts = [f"{rows} rows, drawn evenly from {window.out_of:,} of {window.file or 'the time range'}"]
    if window.span:
        parts.append(f"rows {window.span[0] + 1:,} to {window.span[1]:,}")
    if window.times:
        parts.append(" to ".join(f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for moment in window.times) + " UTC")
    if window.models:
        parts.append(f"scored by {', '.join(window.models)}")
    return "; ".join(parts)


def _window(window: Window) -> dict[str, Any]:
    return {
        "rows": len(window),
        "chosen": window.chosen,
        "out_of": window.out_of,
        "file": window.file,
        "first_row": window.span[0] if window.span else None,
        "stop_row": window.span[1] if window.span else None,
        "first_timestamp": _rfc3339(window.times[0]) if window.times else None,
        "last_timestamp": _rfc3339(window.times[1]) if window.times else None,
        "models": list(window.models),
        "ignored_columns": list(window.ignored_columns),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
