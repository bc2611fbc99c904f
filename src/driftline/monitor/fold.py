"""Folds lines of the log into counts: each line once, whatever is interrupted, and in whatever order they came."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import MISSING, CategoryBins, NumberBins
from driftline.drift.layout import Layout, Values
from driftline.drift.profile import Column, Profile
from driftline.monitor.lines import Answers, LineReader, Other, Read, Rows
from driftline.monitor.store import Cell, CellKey, MonitorStore

SEGMENT_GROUPS: Final = 4
"""Segments of a number: quarters of the reference."""
OTHER: Final = "other"


class Slicing(NamedTuple):
    """What a cell is: the smallest slice that is counted apart.

    Attributes:
        width_us: Its length in time; cells begin at whole multiples of it since 1970. 0 for cells of rows.
        rows: Its rows, of one model and in the order of the log; 0 for cells of time.
    """

    width_us: int = 0
    rows: int = 0

    def cells(self, times_us: NDArray[np.int64], first_ordinal: int) -> NDArray[np.int64]:
        """Returns the cell of each prediction.

        Args:
            times_us: When each was made.
            first_ordinal: How many predictions came before the first.
        """
        if self.rows:
            return (first_ordinal + np.arange(len(times_us))) // self.rows
        return times_us // self.width_us


class Placed(NamedTuple):
    """Predictions, and where each is counted.

    Attributes:
        rows: The predictions.
        cells: The cell of each.
        segments: The segment of each.
    """

    rows: Rows
    cells: list[int]
    segments: list[str]


class Beside(Protocol):
    """What is kept of the same lines, in the same transaction."""

    def take(self, placed: Placed, feedback: Sequence[Other]) -> None:
        """Takes in predictions, which are counted by now, and the feedback among them."""


class Folder:
    """Counts what comes, and remembers in the same transaction how far it has come.

    Args:
        store: Where the counts are kept.
        profile: Whose bins they are by.
        slicing: What a cell is.
        segment_by: The column whose values divide the traffic, if any.
        beside: Keeps more of it.

    Attributes:
        position_row: The first row that is not counted yet.
        ordinal: Predictions of the model before it.

    Raises:
        ProfileError: The profile has no such column.
    """

    def __init__(
        self,
        store: MonitorStore,
        profile: Profile,
        slicing: Slicing,
        segment_by: str | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._store = store
        self._slicing = slicing
        self._reader = LineReader(profile.model, profile.columns, Answers(profile.output, profile.classes))
        self.layout = Layout(profile.columns)
        self._segments = None if segment_by is None else Segments(profile, segment_by)
        self._beside = beside
        meta = store.meta()
        self.position_row = int(meta.get("position_row", "0"))
        self.ordinal = int(meta.get("ordinal", "0"))
        self._foreign = int(meta.get("foreign", "0"))
        self._unreadable = int(meta.get("unreadable", "0"))

    def fold(self, lines: Iterable[tuple[int, bytes]], stop_row: int) -> Read:
        """Counts the lines up to a row, and returns what was in them.

        Args:
            lines: Each with its row; those that are damaged are left out.
            stop_row: The row behind the last one that was read, so that damaged ones are not waited for.

        Raises:
            sqlite3.Error: The disk refuses; nothing of it has been counted.
        """
        read = self._reader.read(lines)
        self.count(read.rows, stop_row, read.feedback, foreign=read.foreign, unreadable=read.unreadable)
        return read

    def count(
        self, rows: Rows, stop_row: int, feedback: Sequence[Other] = (), *, foreign: int = 0, unreadable: int = 0
    ) -> None:
        """Counts predictions; as :meth:`fold`, for who has them already."""
        placed = self._placed(rows)
        cells = self._cells(placed)
        known = {key: self._store.cell(key) for key in cells}
        summed = {key: cell.plus(before) if (before := known[key]) else cell for key, cell in cells.items()}
        times = rows.times_us
        with self._store.transaction():
            for key, cell in summed.items():
                self._store.put_cell(key, cell)
            self._store.stretch_spans(rows.numbers, times)
            if self._beside is not None:
                self._beside.take(placed, feedback)
            self._store.put_meta(
                {
                    "position_row": str(stop_row),
                    "ordinal": str(self.ordinal + len(times)),
                    "foreign": str(self._foreign + foreign),
                    "unreadable": str(self._unreadable + unreadable),
                }
            )
        self.position_row = stop_row
        self.ordinal += len(times)
        self._foreign += foreign
        self._unreadable += unreadable

    def _placed(self, rows: Rows) -> Placed:
        cells = self._slicing.cells(rows.times_us, self.ordinal).tolist()
        return Placed(rows, cells, segments_of(rows, self._segments))

    def _cells(self, placed: Placed) -> dict[CellKey, Cell]:
        rows, cells, segments = placed
        if not len(rows.times_us):
            return {}
        codes = self.layout.codes(rows.values)
        members: dict[CellKey, list[int]] = {}
        for at, key in enumerate(zip(cells, rows.versions, segments, rows.producers, strict=True)):
            members.setdefault(CellKey(*key), []).append(at)
        found = {}
        for key, own in members.items():
            chosen = slice(None) if len(own) == len(cells) else own
            times, numbers = rows.times_us[chosen], rows.numbers[chosen]
            found[key] = Cell(
                int(times.min()),
                int(times.max()),
                int(numbers[0]),
                int(numbers[-1]) + 1,
                len(own),
                self.layout.tally(codes[:, chosen]),
            )
        return found


def segments_of(rows: Rows, segments: "Segments | None") -> list[str]:
    """Returns the segment of each row, which is the empty one if nothing divides the traffic."""
    if segments is None or not len(rows.times_us):
        return [""] * len(rows.times_us)
    return segments.of(rows.values)


class Segments:
    """Divides traffic by the values of one column: each category, or quarters of a number's reference.

    Args:
        profile: Whose bins divide it.
        name: The column.

    Raises:
        ProfileError: The profile has no such column.
    """

    def __init__(self, profile: Profile, name: str) -> None:
        column = profile.column(name)
        self._at = profile.columns.index(column)
        self._column = column
        self._layout = Layout([column])
        self._labels = np.array(_segment_labels(column), dtype=object)

    @property
    def labels(self) -> list[str]:
        """The segments that there can be, the rest among them."""
        return list(dict.fromkeys(self._labels.tolist()))

    def of(self, values: list[Values]) -> list[str]:
        """Returns the segment of each row.

        Args:
            values: Of all columns of the profile.
        """
        segments: list[str] = self._labels[self._layout.codes([values[self._at]])[0]].tolist()
        return segments


def segment_counts(segments: "Segments", layout: Layout, values: list[Values]) -> dict[str, NDArray[np.int64]]:
    """Returns what rows are in each segment.

    Args:
        segments: What divides them.
        layout: Of all columns of the profile.
        values: Of each of these, all of one length.
    """
    codes, names = layout.codes(values), np.array(segments.of(values), dtype=object)
    return {name: layout.tally(codes[:, names == name]) for name in dict.fromkeys(names.tolist())}


def segment_names(profile: Profile, segment_by: str | None) -> list[str]:
    """Returns the segments that the traffic is divided into; none if it is not.

    Raises:
        ProfileError: The profile has no such column.
    """
    return [] if segment_by is None else Segments(profile, segment_by).labels


def _segment_labels(column: Column) -> list[str]:
    """The segment of each bin."""
    if isinstance(column.bins, CategoryBins):
        return [OTHER, OTHER, *(f"{column.name}={value}" for value in column.bins.values)]
    assert isinstance(column.bins, NumberBins)
    inner = np.asarray(column.counts[MISSING + 1 :], dtype=np.float64)
    ranks = np.cumsum(inner) - inner / 2
    groups = np.minimum((SEGMENT_GROUPS * ranks / max(inner.sum(), 1)).astype(int), SEGMENT_GROUPS - 1)
    edges = (*column.bins.edges, column.bins.edges[-1])
    names = []
    for group in range(SEGMENT_GROUPS):
        own = np.flatnonzero(groups == group)
        if not len(own):
            names.append(OTHER)
            continue
        low, high = edges[max(int(own[0]) - 1, 0)], edges[min(int(own[-1]), len(edges) - 1)]
        sides = (f"over {low:.4g}", f"{low:.4g} to {high:.4g}", f"up to {high:.4g}")
        names.append(f"{column.name} {sides[2 if group == 0 else 0 if group == SEGMENT_GROUPS - 1 else 1]}")
    return [OTHER, *(names[group] for group in groups)]
