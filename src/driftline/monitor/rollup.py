"""Keeps the store small: old cells become sums by the hour, and old windows without a finding are forgotten."""

from collections.abc import Mapping
from typing import Final

from driftline.monitor.judge import ALL, HOUR_US, MOST_WINDOWS_LOOKED_BACK, ROLLED
from driftline.monitor.store import Cell, CellKey, MonitorStore

CELLS_KEPT_US: Final = 48 * HOUR_US
QUIET_KEPT_US: Final = 30 * 24 * HOUR_US


def roll_up(store: MonitorStore, width_us: int, before_us: int, next_cells: Mapping[str, int]) -> int:
    """Makes the cells before a time sums by the hour, an hour in a transaction, and returns how many cells they were.

    Any span of whole hours is then the sum of its hours and of the cells that are left in them.

    Args:
        store: Holds the cells.
        width_us: Length of a cell, shorter than an hour. A cell belongs to the hour in which it begins.
        before_us: End of the last hour that may be rolled up; a whole number of hours.
        next_cells: For each stream the first cell that it has not judged; none from there on is touched.

    Raises:
        sqlite3.Error: The disk refuses; the hours that are done stay done.
    """
    stop = -(-before_us // width_us)
    rolled = 0
    at = -(1 << 62)
    while (first := _first_cell(store, at, stop)) is not None:
        hour = first * width_us // HOUR_US
        at = -(-(hour + 1) * HOUR_US // width_us)
        rolled += _roll_up_hour(store, hour, first, at, next_cells)
    with store.transaction():
        store.put_meta({ROLLED: str(stop)})
    return rolled


def prune(store: MonitorStore, before_us: int) -> None:
    """Forgets quiet verdicts of windows that ended before a time, and such windows of which nothing else is said.

    The last windows of each stream stay, since a slow change is traced back through them.
    """
    with store.transaction():
        store.connection.execute(
            "DELETE FROM verdicts WHERE state = 'quiet' AND window IN (SELECT window FROM windows WHERE stop_us < ?)",
            (before_us,),
        )
        streams = store.connection.execute("SELECT stream FROM streams").fetchall()
        for (stream,) in streams:
            store.connection.execute(
                "DELETE FROM windows WHERE stream = ? AND stop_us < ? "
                "AND NOT EXISTS (SELECT 1 FROM verdicts WHERE verdicts.window = windows.window) "
                "AND window < (SELECT window FROM windows WHERE stream = ? ORDER BY window DESC LIMIT 1 OFFSET ?)",
                (stream, before_us, stream, MOST_WINDOWS_LOOKED_BACK),
            )


def _first_cell(store: MonitorStore, first: int, stop: int) -> int | None:
    found = store.connection.execute("SELECT min(cell) FROM cells WHERE cell >= ? AND cell < ?", (first, stop))
    number: int | None = found.fetchone()[0]
    return number


def _roll_up_hour(store: MonitorStore, hour: int, first: int, stop: int, next_cells: Mapping[str, int]) -> int:
    judged = next_cells[ALL]
    sums: dict[CellKey, Cell] = {}
    with store.transaction():
        old = {
            key: cell
            for key, cell in store.cells_apart(first, stop).items()
            if key.cell < min(judged, next_cells.get(key.segment, judged))
        }
        for key, cell in old.items():
            whole = CellKey(hour, *key[1:])
            before = sums.get(whole) or store.hour(whole)
            sums[whole] = cell.plus(before) if before else cell
            store.remove_cell(key)
        for whole, cell in sums.items():
            store.put_hour(whole, cell)
    return len(old)
