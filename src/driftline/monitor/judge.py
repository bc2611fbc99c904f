"""Closes windows, holds them against the reference, and writes down what was found."""

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from driftline.drift.bins import MISSING, STRANGE, NumberBins
from driftline.drift.effect import Yardstick
from driftline.drift.layout import Layout
from driftline.drift.profile import Column, Profile
from driftline.drift.questions import Questions
from driftline.drift.scan import LASTING, Evidence, Scan
from driftline.drift.since import change_point, excesses
from driftline.monitor.fold import Slicing
from driftline.monitor.store import Cell, MonitorStore

ALL: Final = "all"
BATCH_CELLS: Final = 64
MOST_WINDOWS_LOOKED_BACK: Final = 256
HOUR_US: Final = 3_600_000_000
ROLLED: Final = "rolled_cell"
"""Single value: cells below it are sums by the hour, but for those that came later, or that a window waits for."""

State = Literal["quiet", "small", "alarm"]
Kind = Literal["drift", "missing", "out_of_range", "unseen", "constant"]


class Rules(NamedTuple):
    """What makes a window, and what an alarm.

    Attributes:
        min_rows: A window stays open until it has as many.
        false_alarms_a_window: The budget of each stream.
        min_moved: Share of the rows that must have changed for evidence to be an alarm.
    """

    min_rows: int
    false_alarms_a_window: dict[str, float]
    min_moved: float


class Verdict(NamedTuple):
    """What is said of one column in one window.

    Attributes:
        column: The reference's.
        state: ``small`` is a change that is certain and too small to matter.
        kind: What sort of change.
        evidence: The strongest.
        since_us: Where the change began, or the window, if there is none.
        moved: Share of the rows that have changed, in the span of the evidence.
        missing: Share of the window's rows without a value.
        outside: Share of the window's rows with a value that the reference's lie all on one side of, or has not.
        effects: ``psi``, ``js``, ``ks`` and ``wasserstein`` of the window.
    """

    column: Column
    state: State
    kind: Kind
    evidence: Evidence
    since_us: int
    moved: float
    missing: float
    outside: float
    effects: tuple[float, float, float, float]


class Judged(NamedTuple):
    """One window of one stream.

    Attributes:
        stream: ``all``, or a segment.
        start_us: Of its first event.
        stop_us: Of its last event.
        cell: Sum of its cells.
        verdicts: Of each column; none if the window is part of the reference.
    """

    stream: str
    start_us: int
    stop_us: int
    cell: Cell
    verdicts: Sequence[Verdict]


class Judge:
    """Judges the streams of one profile.

    Args:
        store: Holds the counts, and takes the verdicts.
        profile: The reference.
        slicing: What a cell is.
        rules: See :class:`Rules`; its streams are those that are judged.
        tell: Called with each window that was judged, in the transaction that records it.
        segments: Counts of the reference's rows in each segment that is judged: of a segment they are the reference.
        judged_from_us: Windows with rows of before are counted, and not judged: another version answered then.
    """

    def __init__(
        self,
        store: MonitorStore,
        profile: Profile,
        slicing: Slicing,
        rules: Rules,
        tell: Callable[[Judged], None] = lambda _: None,
        *,
        segments: Mapping[str, NDArray[np.int64]] = MappingProxyType({}),
        judged_from_us: int = 0,
    ) -> None:
        self._judged_from_us = judged_from_us
        self._store = store
        self._profile = profile
        self._slicing = slicing
        self._rules = rules
        self._tell = tell
        self._log_id = store.meta().get("log_id")
        self._layout = Layout(profile.columns)
        self._segments = segments
        self._streams = {stream: self._open(stream, risk) for stream, risk in rules.false_alarms_a_window.items()}

    def judge(self, closed_before: int) -> int:
        """Judges all windows that end before a cell, and returns how many they were.

        Args:
            closed_before: Number of the first cell that may still get rows.

        Raises:
            sqlite3.Error: The disk refuses; what was judged before is recorded.
        """
        return sum(self._judge_stream(stream, closed_before) for stream in self._streams)

    def waiting_rows(self, stream: str) -> int:
        """Returns the rows of the windows that are still open."""
        return self._store.rows(self._streams[stream].next_cell, 1 << 62, None if stream == ALL else stream)

    @property
    def next_cells(self) -> dict[str, int]:
        """For each stream the first cell that is in no window yet."""
        return {name: stream.next_cell for name, stream in self._streams.items()}

    def _open(self, name: str, risk: float) -> "_Stream":
        columns = self._profile.columns
        if name != ALL:
            counted = self._layout.split(self._segments[name])
            pairs = zip(columns, counted, strict=True)
            columns = tuple(replace(column, counts=tuple(counts.tolist())) for column, counts in pairs)
        scan = Scan(columns, risk)
        row = self._store.connection.execute("SELECT next_cell, scan FROM streams WHERE stream = ?", (name,)).fetchone()
        if row is None:
            return _Stream(columns, self._layout, scan, -(1 << 62))
        stream = _Stream(columns, self._layout, scan, row[0])
        stream.load(row[1])
        return stream

    def _judge_stream(self, name: str, closed_before: int) -> int:
        stream = self._streams[name]
        judged = 0
        while (window := self._next_window(name, stream.next_cell, closed_before)) is not None:
            first, stop, cell = window
            earlier = cell.start_us < self._judged_from_us
            verdicts = [] if earlier or self._is_of_reference(cell) else self._verdicts(name, stream, cell, first)
            found = Judged(name, cell.start_us, cell.stop_us, cell, verdicts)
            with self._store.transaction():
                self._record(found, first, stop, stream)
                self._tell(found)
            stream.next_cell = stop
            judged += 1
        return judged

    def _next_window(self, name: str, first: int, closed_before: int) -> tuple[int, int, Cell] | None:
        """Returns the first cell, the one behind the last, and the sum, of the next window that is complete."""
        summed: Cell | None = None
        begin = first
        numbers = self._store.numbers(first, closed_before, None if name == ALL else name)
        for at in range(0, len(numbers), BATCH_CELLS):
            batch = numbers[at : at + BATCH_CELLS]
            cells = self._store.cells(batch[0], batch[-1] + 1, None if name == ALL else name)
            for number in batch:
                if summed is None:
                    begin, summed = number, cells[number]
                else:
                    summed = summed.plus(cells[number])
                if summed.rows >= self._rules.min_rows:
                    return begin, number + 1, summed
        return None

    def _state(self, judged: Judged) -> str:
        if judged.verdicts:
            return "judged"
        return "reference" if self._is_of_reference(judged.cell) else "earlier"

    def _is_of_reference(self, cell: Cell) -> bool:
        origin = self._profile.origin
        if origin.first_row is None or origin.stop_row is None or self._log_id not in {None, origin.log_id}:
            return False
        return cell.first_row < origin.stop_row and cell.stop_row > origin.first_row

    def _verdicts(self, name: str, stream: "_Stream", cell: Cell, first: int) -> list[Verdict]:
        found = stream.observe(cell.counts)
        effects = stream.yardstick.measure(cell.counts)
        sizes = np.stack([effects.psi, effects.js_distance, effects.distance, effects.wasserstein_sd]).T.tolist()
        verdicts = []
        spans: dict[int, list[Cell]] = {}
        for at, (column, (evidence, alarming)) in enumerate(zip(stream.columns, found, strict=True)):
            state: State = "quiet"
            since_us, moved = cell.start_us, float(effects.moved[at])
            if alarming:
                if evidence.windows not in spans:
                    spans[evidence.windows] = self._span(name, first, evidence.windows - 1)
                windows = spans[evidence.windows]
                counts = np.stack([*(each.counts for each in windows), cell.counts])
                rows = np.array([*(each.rows for each in windows), cell.rows])
                begun = change_point(excesses(stream.questions, at, evidence.answer, counts), rows)
                since_us = [*windows, cell][begun].start_us
                moved = float(stream.yardstick.measure(counts.sum(axis=0)).moved[at])
                state = "alarm" if moved >= self._rules.min_moved else "small"
            own = cell.counts[self._layout.starts[at] :][: column.bins.count]
            kind = kind_of(column, evidence, own)
            missing, outside = _outer(column, own)
            verdicts.append(Verdict(column, state, kind, evidence, since_us, moved, missing, outside, tuple(sizes[at])))
        return verdicts

    def _span(self, name: str, before: int, windows: int) -> list[Cell]:
        """Returns the last windows that were judged before a cell, the oldest first; of long ago, hours of them."""
        rows = self._store.connection.execute(
            "SELECT first_cell, stop_cell FROM windows WHERE stream = ? AND stop_cell <= ? AND state = 'judged' "
            "ORDER BY window DESC LIMIT ?",
            (name, before, min(windows, MOST_WINDOWS_LOOKED_BACK)),
        ).fetchall()
        if not rows:
            return []
        segment = None if name == ALL else name
        begin = rows[-1][0]
        rolled = max(int(self._store.meta().get(ROLLED, begin)), begin)
        hours = self._hours(begin, rolled, segment)
        cells = self._store.cells(rolled, before, segment)
        numbers = sorted(cells)
        found = []
        for first, stop in reversed(rows):
            own = numbers[bisect_left(numbers, first) : bisect_left(numbers, stop)]
            if own:
                found.append(_sum([cells[number] for number in own]))
        return [*hours, *found]

    def _hours(self, first: int, stop: int, segment: str | None) -> list[Cell]:
        """Returns the sums by the hour of cells that were rolled up, and of what is left of them, the oldest first."""
        if stop <= first:
            return []
        width_us = self._slicing.width_us
        hours = self._store.hours(first * width_us // HOUR_US, -(-stop * width_us // HOUR_US), segment)
        for number, cell in self._store.cells(first, stop, segment).items():
            hour = number * width_us // HOUR_US
            hours[hour] = hours[hour].plus(cell) if hour in hours else cell
        return [hours[hour] for hour in sorted(hours)]

    def _record(self, judged: Judged, first: int, stop: int, stream: "_Stream") -> None:
        connection, cell = self._store.connection, judged.cell
        window = connection.execute(
            "INSERT INTO windows (stream, profile, first_cell, stop_cell, start_us, stop_us, rows, state, judged_us) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                judged.stream, self._profile.profile_id, first, stop, judged.start_us, judged.stop_us, cell.rows,
                self._state(judged), time.time_ns() // 1000,
            ),
        ).lastrowid  # fmt: skip
        connection.executemany(
            "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(window, verdict) for verdict in judged.verdicts],
        )
        connection.execute("INSERT OR REPLACE INTO streams VALUES (?, ?, ?)", (judged.stream, stop, stream.dump()))


class _Stream:
    """What one stream is held against, and how far it has come."""

    def __init__(self, columns: Sequence[Column], layout: Layout, scan: Scan, next_cell: int) -> None:
        self.columns = columns
        self.questions = Questions(columns, layout)
        self.yardstick = Yardstick(columns, layout)
        self.scan = scan
        self.next_cell = next_cell
        self._standing: dict[int, tuple[Evidence, int]] = {}
        self._alarming: set[int] = set()

    def observe(self, counts: NDArray[np.int64]) -> list[tuple[Evidence, bool]]:
        """Returns the evidence against each column, and whether it is an alarm.

        An alarm goes on while there is half of the evidence that it took to raise it, and what a long span has shown
        stands until the span is complete again: between two times nothing is known that speaks against it.
        """
        found = self.scan.observe(counts)
        for at, evidence in enumerate(found):
            if evidence.alarm:
                self._standing[at] = (evidence, evidence.asked_again_in)
                self._alarming.add(at)
                continue
            standing, left = self._standing.pop(at, (evidence, 0))
            if at in self.scan.forgotten:
                self._alarming.discard(at)
            elif left > 1:
                self._standing[at] = (standing, left - 1)
                found[at] = standing
            elif evidence.answer.strength < LASTING:
                self._alarming.discard(at)
        return [(evidence, at in self._alarming) for at, evidence in enumerate(found)]

    def dump(self) -> bytes:
        """Returns all that is remembered of its windows, for :meth:`load`."""
        standing = [(at, evidence, left) for at, (evidence, left) in self._standing.items()]
        return msgspec.msgpack.encode((self.scan.dump(), sorted(self._alarming), standing))

    def load(self, content: bytes) -> None:
        """Takes up where a stream of the same columns was when it was dumped."""
        scan, alarming, standing = _REMEMBERED.decode(content)
        self.scan.load(scan)
        self._alarming = set(alarming)
        self._standing = {at: (evidence, left) for at, evidence, left in standing}


_REMEMBERED: Final = msgspec.msgpack.Decoder(tuple[bytes, list[int], list[tuple[int, Evidence, int]]])


def kind_of(column: Column, evidence: Evidence, counts: NDArray[np.int64]) -> Kind:
    """Returns what sort of change evidence speaks of.

    Args:
        column: The reference's.
        evidence: About it.
        counts: Of the window, shape ``(bins,)``.
    """
    question = evidence.answer.question
    if question == "missing":
        return "missing"
    if question == "unseen":
        return "unseen"
    fullest = int(counts.max())
    if fullest == counts.sum() and fullest and max(column.counts) < sum(column.counts):
        return "missing" if counts[MISSING] else "constant"
    return "out_of_range" if question in {"below", "above"} else "drift"


def _sum(cells: Sequence[Cell]) -> Cell:
    first, *others = cells
    for other in others:
        first = first.plus(other)
    return first


def _outer(column: Column, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Returns the shares of rows without a value, and with one that the reference has not."""
    rows = max(int(counts.sum()), 1)
    outside = counts[STRANGE] + (counts[-1] if isinstance(column.bins, NumberBins) else 0)
    return float(counts[MISSING]) / rows, float(outside) / rows


def _row(window: int | None, verdict: Verdict) -> tuple[object, ...]:
    detector, answer, windows, span_rows = verdict.evidence
    sizes = [None if np.isnan(size) else size for size in verdict.effects]
    psi, js, ks = (size or 0.0 for size in sizes[:3])
    return (
        window, verdict.column.name, verdict.state, verdict.kind, detector, answer.question, answer.label,
        answer.log_p, answer.log_risk, windows, span_rows, verdict.since_us, verdict.moved, psi, js, ks, sizes[3],
        verdict.missing, verdict.outside,
    )  # fmt: skip
