"""Finds predictions that show what has changed: rows whose values are where there are more than there were."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.drift.layout import Layout
from driftline.drift.profile import Column
from driftline.monitor.lines import value_in, values_of
from driftline.monitor.store import Cell

EXAMPLES: Final = 10
MOST_ROWS_READ: Final = 20_000
MOST_BINS: Final = 3


class Lines(Protocol):
    """The committed lines of a log; :class:`~driftline.eventlog.reader.LogReader` is one."""

    def numbered(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yields these rows, each with its number, without damaged ones. Raises LogDamagedError if it cannot go on."""


def request_ids(lines: Lines, model: str, column: Column, cell: Cell, counts: NDArray[np.int64]) -> tuple[str, ...]:
    """Returns ids of predictions in the bins that have gained most.

    Args:
        lines: The log.
        model: Whose predictions.
        column: The reference's.
        cell: The window; of a long one only the first rows are looked at.
        counts: Of the column in it, shape ``(bins,)``.

    Raises:
        LogDamagedError: The log cannot be read.
    """
    gained = counts / max(int(counts.sum()), 1) - np.asarray(column.counts) / max(sum(column.counts), 1)
    wanted = [int(at) for at in np.argsort(-gained)[:MOST_BINS] if gained[at] > 0]
    layout = Layout([column])
    decoder = msgspec.json.Decoder(dict[str, Any])
    found: list[str] = []
    for _, line in lines.numbered(cell.first_row, min(cell.stop_row, cell.first_row + MOST_ROWS_READ)):
        try:
            event = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        own = event.get("kind") == "prediction" and event.get("model") == model
        if own and _bin(layout, column, event) in wanted:
            found.append(str(event.get("request_id")))
            if len(found) == EXAMPLES:
                break
    return tuple(found)


def _bin(layout: Layout, column: Column, event: Mapping[str, Any]) -> int:
    return int(layout.codes([values_of(column, [value_in(event, column)])])[0, 0])
