"""Makes the drift report: compares what can be compared, and says what cannot."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from driftline.errors import ReportError
from driftline.report.columns import Column, columns_of
from driftline.report.evidently import Comparison, compare
from driftline.report.result import DriftReport, Isolated
from driftline.report.windows import Windows


def make_report(windows: Windows) -> DriftReport:
    """Returns the verdict on two windows, with all that it rests on.

    Takes 4 to 5 seconds and 300 MB at least, most of it for loading Evidently: not for a process that serves.

    Raises:
        ReportError: No column can be compared, or Evidently is not installed.
    """
    columns = columns_of(windows)
    obstacles = {column.name: column.obstacle for column in columns}
    isolated = [
        Isolated(column.name, reason, unreadable=column.feature and not column.constant)
        for column in columns
        if (reason := obstacles[column.name])
    ]
    sound = [column for column in columns if not obstacles[column.name]]
    if not sound:
        raise ReportError("no column can be compared: " + "; ".join(f"{it.name}: {it.reason}" for it in isolated))
    comparison, refused = _compare(sound)
    compared = [column for column in sound if column.name not in {it.name for it in refused}]
    return DriftReport(
        windows=windows,
        comparison=comparison,
        missing={column.name: (column.reference.missing, column.current.missing) for column in compared},
        isolated=(*isolated, *refused),
        notes=(*windows.notes, *_missing_values(compared)),
        created_at=datetime.now(UTC),
    )


def _compare(columns: Sequence[Column]) -> tuple[Comparison, list[Isolated]]:
    """One column on which Evidently fails fails its whole report, so then each is tried by itself."""
    try:
        return compare(columns), []
    except ReportError:
        refused = [
            Isolated(column.name, reason, unreadable=column.feature)
            for column in columns
            if (reason := _refusal(column))
        ]
        if len(refused) in {0, len(columns)}:
            raise
    names = {it.name for it in refused}
    return compare([column for column in columns if column.name not in names]), refused


def _refusal(column: Column) -> str | None:
    try:
        compare([column])
    except ReportError as error:
        return error.message
    return None


def _missing_values(columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        sides = {"reference": column.reference, "current": column.current}
        if any(series.missing for series in sides.values()):
            shares = ", ".join(f"{series.missing / len(series.values):.0%} {side}" for side, series in sides.items())
            yield (
                f"{column.name} has missing values ({shares}); Evidently leaves them out, so the verdict says nothing "
                "of them"
            )
