"""What the columns of a sample hold, as far as a schema asks."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from driftline.contract.cells import MISSING, plain, whole
from driftline.contract.schema import MOST_CHARS, MOST_EXACT, Feature, Type, Value
from driftline.errors import TableError
from driftline.tables import Progress, Table

MOST_DISTINCT: Final = 1000
"""So many values of a column are told apart."""

_PADDED: Final = re.compile(r"0[0-9]+")

Kind = Literal["bool", "int", "float", "text", "other"]


class Summary:
    """What one column holds.

    Attributes:
        name: Its name.
        rows: How many cells there were.
        missing: How many of them hold nothing.
        distinct: The values, as text; None if they are too many.
        unlike: Whether no value was met twice among neighbours, as with numbers that identify rows.
        flaw: What no feature may have, in words; empty if nothing.
        padded: Whether a text of digits begins with a zero that a number would lose, as postal codes do.
        example: The first value.
    """

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.rows = 0
        self.missing = 0
        self.distinct: set[str] | None = set()
        self.unlike = True
        self.padded = False
        self.flaw = ""
        self.example: Value = None
        self._kinds: set[Kind] = set()

    @property
    def type(self) -> Type:
        """The narrowest type that holds all values."""
        if not self._kinds:
            return "float"
        if self._kinds == {"bool"}:
            return "bool"
        if self._kinds <= {"int", "float"}:
            return "float" if "float" in self._kinds else "int"
        return "category"

    def add(self, cells: Sequence[Any], *, text: bool) -> None:
        """Takes the cells of a piece of a table into account."""
        met: dict[Any, None] = {}
        for cell in cells if text else map(plain, cells):
            if cell is None or (cell in MISSING if text else cell != cell):  # noqa: PLR0124 (only NaN differs)
                self.missing += 1
            elif isinstance(cell, list | dict | bytes):
                self.flaw = "it holds lists, objects or bytes"
            else:
                met[cell] = None
        self.rows += len(cells)
        self.unlike = self.unlike and len(met) == len(cells)
        values = [_read(cell) for cell in met] if text else list(met)
        self.padded = self.padded or any(
            isinstance(value, str) and _PADDED.fullmatch(value.strip()) for value in values
        )
        self._look(values)
        if not text and "text" in self._kinds and len(self._kinds) > 1:
            self.flaw = "it holds texts and other values"
        if self.example is None and values:
            self.example = values[0]
        if self.distinct is not None:
            self.distinct.update(map(str, met))
            if len(self.distinct) > MOST_DISTINCT:
                self.distinct = None

    def _look(self, values: Iterable[Value]) -> None:
        for value in values:
            kind = _kind(value)
            self._kinds.add(kind)
            if kind == "other":
                self.flaw = f"it holds values of the type {type(value).__name__}"
            elif kind == "float" and math.isinf(value):  # type: ignore[arg-type]  # a float
                self.flaw = "it holds infinite numbers"
            elif kind == "int" and abs(value) > MOST_EXACT:  # type: ignore[arg-type]  # an int
                self.flaw = f"it holds whole numbers beyond {MOST_EXACT}, which JSON does not carry exactly"
            elif kind == "text" and len(value) > MOST_CHARS:  # type: ignore[arg-type]  # a str
                self.flaw = f"it holds texts of more than {MOST_CHARS} characters"

    def shown(self, feature: Feature) -> Value:
        """Returns the example as a value of a feature."""
        if self.example is None:
            return None
        if feature.type == "category":
            return str(self.example)
        if feature.type == "float":
            return float(self.example)
        return whole(self.example) if isinstance(self.example, str) else self.example


def summaries_of(table: Table, progress: Progress | None = None) -> dict[str, Summary]:
    """Returns a summary of each column, by name, in their order.

    Raises:
        TableError: The table cannot be read, or has no rows.
    """
    found = {name: Summary(name) for name in table.names}
    for piece in table.pieces(progress=progress):
        for name, cells in piece.items():
            found[name].add(cells, text=table.text)
    if not all(summary.rows for summary in found.values()):
        raise TableError(f"{table.path} has no rows")
    return found


def _read(text: str) -> Value:
    if _PADDED.fullmatch(text.strip()):
        return text
    lowered = text.strip().lower()
    return lowered == "true" if lowered in {"true", "false"} else whole(text)


def _kind(value: Value) -> Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "text" if isinstance(value, str) else "other"
