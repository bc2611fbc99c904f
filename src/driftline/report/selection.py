"""Which predictions a report compares, as it was asked for."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from driftline.errors import ReportError

ROWS = 200
"""Rows of the log's first and last windows, unless asked for otherwise."""

DRAWN_ROWS = 1000
"""Rows that are drawn at most from a time range or a file, unless asked for otherwise.

Up to this many in the reference, Evidently compares by p-values, whose false alarms do not depend on the window's size.
"""

MIN_WINDOW_ROWS = 30
"""A window of fewer rows says nothing."""


@dataclass(frozen=True)
class TimeRange:
    """The moments in ``[start, stop)``; None leaves that end open.

    Raises:
        ReportError: It is empty.
    """

    start: datetime | None = None
    stop: datetime | None = None

    def __post_init__(self) -> None:
        if self.start and self.stop and self.start >= self.stop:
            raise ReportError(f"the time range {self} is empty: its end must come after its beginning")

    def __str__(self) -> str:
        ends = (("from", self.start), ("to", self.stop))
        return " ".join(f"{word} {moment.isoformat()}" for word, moment in ends if moment) or "of all time"

    def __contains__(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (self.stop is None or moment < self.stop)

    def overlaps(self, other: "TimeRange") -> bool:
        """Whether there is a moment in both."""
        ends_before = self.stop is not None and other.start is not None and self.stop <= other.start
        begins_after = self.start is not None and other.stop is not None and other.stop <= self.start
        return not (ends_before or begins_after)


@dataclass(frozen=True)
class Selection:
    """What is to be compared with what; by default the log's first predictions with its last.

    Attributes:
        reference_rows: Rows of the reference; at most, if there are fewer. None: :data:`ROWS`, or :data:`DRAWN_ROWS`.
        current_rows: The same for the current window.
        reference_range: Takes the reference from a time range instead of the log's beginning.
        current_range: Takes the current window from a time range instead of the log's end.
        reference_file: Takes the reference from a CSV, Parquet or JSONL file.
        model: Only its predictions; None for those of all models.

    Raises:
        ReportError: These contradict each other, or would put a row in both windows.
    """

    reference_rows: int | None = None
    current_rows: int | None = None
    reference_range: TimeRange | None = None
    current_range: TimeRange | None = None
    reference_file: Path | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        for name, rows in (("reference", self.reference_rows), ("current window", self.current_rows)):
            if rows is not None and rows < MIN_WINDOW_ROWS:
                raise ReportError(f"{rows} rows for the {name} are too few; {MIN_WINDOW_ROWS} is the least")
        reference, current = self.reference_range, self.current_range
        if self.reference_file and reference:
            raise ReportError("the reference comes from a file or from a time range, not from both")
        if reference and current and reference.overlaps(current):
            raise ReportError(
                f"the time ranges overlap: reference {reference}, current {current}; "
                "a row in both windows would hide drift"
            )
        if reference and not current and not reference.stop:
            raise ReportError("the reference's time range has no end, so nothing is left for the current window")
        if current and not (reference or self.reference_file) and not current.start:
            raise ReportError("the current window's time range has no beginning, so nothing is left for the reference")

    @property
    def reference_limit(self) -> int:
        """Most rows the reference may have."""
        drawn = self.reference_range or self.reference_file
        return self.reference_rows or (DRAWN_ROWS if drawn else ROWS)

    @property
    def current_limit(self) -> int:
        """Most rows the current window may have."""
        return self.current_rows or (DRAWN_ROWS if self.current_range else ROWS)

    @property
    def reference_bounds(self) -> TimeRange:
        """The times that rows of the reference may have: before the current window's range, if only that is given."""
        return self.reference_range or TimeRange(stop=self.current_range.start if self.current_range else None)

    @property
    def current_bounds(self) -> TimeRange:
        """The times that rows of the current window may have: after the reference's range, if only that is given."""
        return self.current_range or TimeRange(start=self.reference_range.stop if self.reference_range else None)

    @property
    def by_time(self) -> bool:
        """Whether finding the rows takes a look at every timestamp of the log."""
        return bool(self.reference_range or self.current_range)
