"""What of the lines of a segment becomes a column of its Parquet files, and of which type."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

OBJECTS: Final = ("features", "probabilities")
"""Fields whose members are columns of their own, ``features.NAME``."""
PREFIX: Final = "features."
OWN: Final = ("row", "line")
"""Our own columns; a field of that name stays in its line."""
TIMES: Final = frozenset({"timestamp", "at"})
"""Fields that are times; what is none is null."""
NUMBERS: Final = frozenset({"probability", "prediction", "outcome"})
"""Fields whose whole numbers are numbers like others."""

_TYPES: Final[Mapping[type, str]] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}
_INT64: Final = 1 << 63
_SHAPES: Final = 10_000
"""So many shapes of lines are remembered, so that a line like others costs nearly nothing."""


class Columns:
    """The columns of one segment, gathered from its lines.

    A field has the type that all its values have: text, whole numbers, numbers, truth values; where they differ, and
    for lists and objects, it is JSON as text. A field whose name differs from another's in nothing but case stays in
    the line, for DuckDB's names know no case; so does one without a name.

    Attributes:
        line_bytes: The mean length of a line.
        longest_bytes: That of the longest.
    """

    def __init__(self) -> None:
        self.longest_bytes = 0
        self._bytes = self._lines = 0
        self._fields: dict[str, str] = {}
        self._members: dict[str, dict[str, str]] = {name: {} for name in OBJECTS}
        self._plain = set(OBJECTS)
        self._seen: dict[tuple[object, ...], list[str]] = {}  # with the names of those that are whole numbers

    @property
    def line_bytes(self) -> int:
        """The mean length of a line."""
        return self._bytes // max(1, self._lines)

    def add(self, line: bytes, event: Mapping[str, Any]) -> None:
        """Takes a line, and what it says, into account."""
        self._lines += 1
        self._bytes += len(line)
        self.longest_bytes = max(self.longest_bytes, len(line))
        self._gather("", event, self._fields)
        for name in OBJECTS:
            members = event.get(name)
            if isinstance(members, dict):
                self._gather(name, members, self._members[name])
            elif members is not None:
                self._plain.discard(name)

    def _gather(self, place: str, values: Mapping[str, Any], types: dict[str, str]) -> None:
        shape = (place, *values, *map(type, values.values()))
        whole = self._seen.get(shape)
        if whole is not None and all(-_INT64 <= values[name] < _INT64 for name in whole):
            return
        if len(self._seen) >= _SHAPES:
            self._seen.clear()
        self._seen[shape] = [name for name, value in values.items() if type(value) is int]
        for name, value in values.items():
            types[name] = _common(types.get(name, ""), _type_of(value))

    def selection(self) -> str:
        """Returns the columns as a SELECT names them, over :meth:`source`."""
        fields, objects = self._named()
        columns = ["row", "encode(line) AS line"]
        for name in fields:
            value = f"event[{_text(name)}]"
            columns.append(f"{as_time(value) if name in TIMES else value} AS {identifier(name)}")
        for place, members in objects.items():
            columns += [f"event['{place}'][{_text(name)}] AS {identifier(f'{place}.{name}')}" for name in members]
        return ", ".join(columns)

    def names(self) -> list[str]:
        """Returns the names of the columns of :meth:`selection`."""
        fields, objects = self._named()
        return [*OWN, *fields, *(f"{place}.{name}" for place, members in objects.items() for name in members)]

    def source(self, path: Path, first_row: int) -> str:
        """Returns the lines of a file as a table, as FROM takes it: ``row``, ``line``, and ``event``, which has fields.

        What is no JSON, such as a line that is being written at this moment, has its row, and is null.
        """
        size = max(1 << 20, 2 * self.longest_bytes)
        lines = f"read_ndjson_objects({_text(str(path))}, ignore_errors = true, maximum_object_size = {size})"
        return self.source_of(f"(SELECT row_number() OVER () - 1 + {first_row} AS row, json AS line FROM {lines})")  # noqa: S608

    def source_of(self, table: str) -> str:
        """Returns the same of a table, which has ``row`` and ``line``."""
        fields, objects = self._named()
        structure: dict[str, Any] = {name: kind or "VARCHAR" for name, kind in fields.items()}
        for place, members in objects.items():
            structure[place] = {name: kind or "VARCHAR" for name, kind in members.items()}
        event = f"from_json(line, {_text(json.dumps(structure))})" if structure else "NULL"
        return f"(SELECT row, CAST(line AS VARCHAR) AS line, {event} AS event FROM {table})"  # noqa: S608 (quoted)

    def day(self, fallback: str) -> str:
        """Returns the UTC day of an event, as an expression over :meth:`source`."""
        if "timestamp" not in self._named()[0]:
            return f"DATE '{fallback}'"
        at = as_time("event['timestamp']")
        # A year of other than four digits is nobody's, and no name of a folder.
        return f"CASE WHEN year({at}) BETWEEN 1970 AND 9999 THEN CAST({at} AS DATE) ELSE DATE '{fallback}' END"

    def _named(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """The fields, and the members of each object that has columns, with their types."""
        plain = {name: self._members[name] for name in OBJECTS if name in self._plain and self._members[name]}
        taken = {*OWN}
        fields = _unlike({name: kind for name, kind in self._fields.items() if name not in plain}, taken)
        fields = {name: "VARCHAR" if name in TIMES else kind for name, kind in fields.items()}
        fields = {name: "DOUBLE" if name in NUMBERS and kind == "BIGINT" else kind for name, kind in fields.items()}
        objects = {}
        for place, members in plain.items():
            prefix = f"{place}."
            own = _unlike(members, {name.removeprefix(prefix) for name in taken if name.startswith(prefix)})
            objects[place] = {name: "DOUBLE" if kind == "BIGINT" else kind for name, kind in own.items()}
        return fields, {place: members for place, members in objects.items() if members}


def as_time(value: str) -> str:
    """Returns a text that is a time, as a TIMESTAMP in UTC; anything else is NULL."""
    return f"timezone('UTC', TRY_CAST({value} AS TIMESTAMPTZ))"


def identifier(name: str) -> str:
    """Returns a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _unlike(types: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    """Those that DuckDB has names for, which differ in more than case from what is taken; they take theirs."""
    kept = {}
    for name, kind in types.items():
        if name and name.lower() not in taken and "\0" not in name:
            taken.add(name.lower())
            kept[name] = kind
    return kept


def _type_of(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return "DOUBLE"
    return _TYPES.get(type(value), "JSON")


def _common(one: str, other: str) -> str:
    if not one or not other or one == other:
        return one or other
    return "DOUBLE" if {one, other} == {"BIGINT", "DOUBLE"} else "JSON"
