"""Finds the rows that stand in for a reference until there is one: the first predictions of the model in the log."""

from typing import Final, NamedTuple

from driftline.contract.schema import ModelSchema
from driftline.drift.profile import FEWEST_ROWS
from driftline.monitor.lines import LineReader
from driftline.monitor.sources import CHUNK_ROWS, Lines

LOOK_ROWS: Final = 8 * CHUNK_ROWS
"""Rows that are looked at in one go."""


class RowRange(NamedTuple):
    """Rows of the log; ``stop_row`` is not among them."""

    first_row: int
    stop_row: int


class FirstRows:
    """Looks for the first predictions of a model, a stretch of the log at a time, each line once.

    Args:
        schema: The model's.
        wanted: How many; at least as many as a reference needs are looked for.
        from_us: Those that were made before are passed over.

    Attributes:
        found: How many there are in what was looked at.
        next_row: The first row that was not looked at.
    """

    def __init__(self, schema: ModelSchema, wanted: int, from_us: int = 0) -> None:
        self._from_us = from_us
        self._reader = LineReader(schema.name, [])
        self._wanted = max(wanted, FEWEST_ROWS)
        self._first_row: int | None = None
        self._range: RowRange | None = None
        self.found = 0
        self.next_row = 0

    def look(self, lines: Lines) -> RowRange | None:
        """Looks on by some thousand rows at most; returns where they are as soon as there are enough.

        Raises:
            LogDamagedError: The log cannot be read.
        """
        stop = min(lines.rows, self.next_row + LOOK_ROWS)
        if self._range is not None or stop <= self.next_row:
            return self._range
        rows = self._reader.read(lines.numbered(self.next_row, stop)).rows
        numbers = rows.numbers[rows.times_us >= self._from_us]
        if len(numbers) and self._first_row is None:
            self._first_row = int(numbers[0])
        if self._first_row is not None and self.found + len(numbers) >= self._wanted:
            self._range = RowRange(self._first_row, int(numbers[self._wanted - self.found - 1]) + 1)
        self.found += len(numbers)
        self.next_row = stop
        return self._range
