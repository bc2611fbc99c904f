"""Finds the two windows of a report, in constant memory."""

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from driftline.errors import NotEnoughRowsError, ReportError
from driftline.report.reference_file import read_reference_file
from driftline.report.sample import Chosen, Drawn, First, Last, Sample
from driftline.report.selection import DRAWN_ROWS, MIN_WINDOW_ROWS, ROWS, Selection
from driftline.report.windows import Moment, Prediction, Progress, Side, Window, Windows

PROGRESS_ROWS = 1000

S = TypeVar("S")


class Rows(Protocol):
    """The committed lines of a log; :class:`~driftline.eventlog.reader.LogReader` is one."""

    @property
    def rows(self) -> int:
        """How many there are now."""

    def numbered(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yields these rows, each with its number, without damaged ones. Raises LogDamagedError if it cannot go on."""


class _Head(msgspec.Struct):
    kind: str
    timestamp: Moment
    model: str | None = None


class _Found(NamedTuple):
    row: int
    timestamp: Moment
    line: bytes


def read_windows(rows: Rows, selection: Selection, progress: Progress = lambda _done, _total: None) -> Windows:
    """Returns what is to be compared; memory is that of the two windows, however long the log is.

    First and last rows cost what they themselves are; a time range costs a pass over the whole log.

    Args:
        rows: The log. What is appended meanwhile is not looked at.
        selection: What was asked for.
        progress: Told of the rows of the log or the bytes of the file.

    Raises:
        NotEnoughRowsError: There are too few predictions; names how many there are and how many are needed.
        ReferenceFileError: The reference file cannot be read, or lacks columns.
        ReportError: A line of the log is not an event.
        LogDamagedError: The log cannot be read.
    """
    stop = rows.rows
    find = _by_time if selection.by_time else _by_row
    reference, current = find(rows, stop, selection, progress)
    _check_size(current)
    if selection.reference_file:
        drawn = Drawn[Prediction](selection.reference_limit)
        reference = read_reference_file(selection.reference_file, current, drawn, progress)
    _check_size(reference)
    return Windows(reference, current, tuple(_notes(selection, reference, current)))


def _by_row(rows: Rows, stop: int, selection: Selection, progress: Progress) -> tuple[Window, Window]:
    wanted = (0 if selection.reference_file else selection.reference_limit, selection.current_limit)
    first = list(itertools.islice(_predictions(rows, 0, stop, selection, progress), wanted[0]))
    behind = first[-1].row + 1 if first else 0
    last = _last(rows, behind, stop, selection, progress)
    if wanted[0] and len(last) < wanted[1]:  # so these are all there are
        everything = [*first, *last]
        counts = share(len(everything), wanted)
        first, last = everything[: counts[0]], everything[-counts[1] :]
    return _logged("reference", "first", first), _logged("current", "last", last)


def share(total: int, wanted: tuple[int, int]) -> tuple[int, int]:
    """Returns how many rows each window gets of too few, in the proportion that was wanted.

    Raises:
        NotEnoughRowsError: They do not make two windows.
    """
    if total < 2 * MIN_WINDOW_ROWS:
        raise NotEnoughRowsError(
            f"the log has {total} predictions; a report needs at least {2 * MIN_WINDOW_ROWS}, half for each window"
        )
    reference = total * wanted[0] // sum(wanted)
    reference = min(max(reference, MIN_WINDOW_ROWS), total - MIN_WINDOW_ROWS)
    current = max(total * wanted[1] // sum(wanted), MIN_WINDOW_ROWS)
    return reference, min(current, total - reference)


def _by_time(rows: Rows, stop: int, selection: Selection, progress: Progress) -> tuple[Window, Window]:
    """Both windows in one pass over the log."""
    reference: Sample[_Found] = (Drawn if selection.reference_range else First)(selection.reference_limit)
    current: Sample[_Found] = (Drawn if selection.current_range else Last)(selection.current_limit)
    for found in _predictions(rows, 0, stop, selection, progress):
        if found.timestamp in selection.current_bounds:
            current.append(found)
        elif found.timestamp in selection.reference_bounds:
            reference.append(found)
    return (
        _logged("reference", reference.chosen, reference.items(), reference.seen),
        _logged("current", current.chosen, current.items(), current.seen),
    )


def _last(rows: Rows, start: int, stop: int, selection: Selection, progress: Progress) -> list[_Found]:
    """The last predictions in these rows: looks further back until there are enough among the other kinds."""
    reach = count = selection.current_limit
    while True:
        begin = max(start, stop - reach)
        found = deque(_predictions(rows, begin, stop, selection, progress), maxlen=count)
        if len(found) == count or begin == start:
            return list(found)
        reach *= 2


def _predictions(rows: Rows, start: int, stop: int, selection: Selection, progress: Progress) -> Iterator[_Found]:
    decoder = msgspec.json.Decoder(_Head)
    for row, line in rows.numbered(start, stop):
        if row % PROGRESS_ROWS == 0:
            progress(row - start, stop - start)
        head = _decoded(decoder, row, line)
        if head.kind == "prediction" and selection.model in {None, head.model}:
            yield _Found(row, head.timestamp, line)


def _logged(side: Side, chosen: Chosen, found: Sequence[_Found], seen: int | None = None) -> Window:
    decoder = msgspec.json.Decoder(Prediction)
    predictions = tuple(_decoded(decoder, row, line) for row, _, line in found)
    span = (found[0].row, found[-1].row + 1) if found else None
    return Window(side, predictions, chosen, out_of=seen if chosen == "drawn" else None, span=span)


def _decoded(decoder: msgspec.json.Decoder[S], row: int, line: bytes) -> S:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"row {row} of the log is not an event: {error}") from error


def _check_size(window: Window) -> None:
    if len(window) < MIN_WINDOW_ROWS:
        raise NotEnoughRowsError(
            f"{window} has {len(window)} predictions; a report needs at least {MIN_WINDOW_ROWS} on each side"
        )


def _notes(selection: Selection, reference: Window, current: Window) -> Iterator[str]:
    if len(reference) < selection.reference_limit and reference.chosen == "first" and current.chosen == "last":
        yield (
            f"the log has fewer than {selection.reference_limit:,} + {selection.current_limit:,} predictions: "
            f"the windows share what there is, {len(reference):,} and {len(current):,}"
        )
    else:
        for window, asked in ((reference, selection.reference_rows), (current, selection.current_rows)):
            wanted = asked or (0 if window.chosen == "drawn" else ROWS)
            if len(window) < wanted:
                yield f"{window} has {len(window):,} of the {wanted:,} rows it should have: there are no more"
    if reference.ignored_columns:
        names = ", ".join(reference.ignored_columns)
        yield f"left out of the reference file, since the log has no such features: {names}"
    if reference.models and reference.models != current.models:
        yield (
            f"the model changed: {', '.join(reference.models)} in the reference, {', '.join(current.models)} in the "
            "current window; a difference in what it predicts may be the model's"
        )
    if len(reference) > DRAWN_ROWS > len(current):
        yield (
            f"with more than {DRAWN_ROWS:,} rows in the reference Evidently compares by distances, which a current "
            f"window of {len(current):,} rows makes unsteady: take {DRAWN_ROWS:,} or more, or a smaller reference"
        )
