"""Reads a table from a file, a column at a time, by DuckDB."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from driftline.contract.outputs import PROBABILITIES
from driftline.drift.build import Named
from driftline.drift.layout import Values
from driftline.drift.profile import Profile
from driftline.errors import ProfileError
from driftline.eventlog.columns import PREFIX
from driftline.monitor.lines import OF_CLASS, as_categories, truth

_OBJECTS: Final = ", map_inference_threshold = -1"
"""Else an object with very many keys would be a map, which has no columns."""
MOST_LISTED: Final = 1000
"""Values of a category that are told apart by a search through all of them."""

_OBJECTS_OF: Final = {"features": "", PROBABILITIES: OF_CLASS}
"""Objects whose members are columns, and what stands before their names."""
_READERS: Final = {
    ".csv": ("read_csv", ", header = true"),
    ".parquet": ("read_parquet", ""),
    ".jsonl": ("read_json", _OBJECTS),
    ".ndjson": ("read_json", _OBJECTS),
}


class Table:
    """A file as DuckDB reads it.

    Args:
        path: A CSV, Parquet or JSONL file.

    Attributes:
        path: The file.
        expressions: Where each column is found, by name; the members of the
            objects ``features`` and ``probabilities`` are columns, too.

    Raises:
        ProfileError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise ProfileError(f"the reference file {path} does not end in one of {', '.join(_READERS)}")
        if not path.is_file():
            raise ProfileError(f"there is no file {path}")
        source = f"{reader[0]}({_literal(path)}{reader[1]})"
        as_text = f"read_csv({_literal(path)}, header = true, all_varchar = true)"
        self._open(path, source, as_text if reader[0] == "read_csv" else source)
        if "kind" in self.expressions and any(it.startswith("features.") for it in self.expressions.values()):
            # Lines of the log, where feedback and what challengers scored stand among the predictions.
            self._source = self._as_text = f"(SELECT * FROM {source} WHERE kind = 'prediction')"  # noqa: S608

    def _open(self, path: Path, source: str, as_text: str) -> None:
        import duckdb  # noqa: PLC0415 - slow to load, and only references of tables need it

        self.path = path
        self._error = duckdb.Error
        self._connection = duckdb.connect(config={"threads": 1, "preserve_insertion_order": True})
        self._source = source
        self._as_text = as_text
        self.expressions: dict[str, str] = {}
        for name, kind in self._fetch(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {self._source})"):  # noqa: S608
            self.expressions[name] = _quoted(name)
            if (prefix := _OBJECTS_OF.get(name)) is not None and kind.startswith("STRUCT"):
                (keys,) = self._fetch(f"SELECT struct_keys({name}) FROM {self._source} LIMIT 1") or [((),)]  # noqa: S608
                self.expressions |= {f"{prefix}{key}": f"{name}.{_quoted(key)}" for key in keys[0]}

    def close(self) -> None:
        """Gives up the file."""
        self._connection.close()

    def in_order(self) -> bool:
        """Whether it has timestamps, and they never fall."""
        if "timestamp" not in self.expressions:
            return False
        falls = (
            f"SELECT count(*) FROM (SELECT timestamp < lag(timestamp) OVER () AS falls FROM {self._source}) WHERE falls"  # noqa: S608
        )
        return bool(self._fetch(falls)[0][0] == 0)

    def times_us(self) -> NDArray[np.int64] | None:
        """Returns the column ``timestamp`` in microseconds since 1970 UTC; None if there is no such column.

        Raises:
            ProfileError: It holds something else, or nothing in some rows.
        """
        if "timestamp" not in self.expressions:
            return None
        query = f"SELECT epoch_us(CAST(timestamp AS TIMESTAMPTZ)) AS value FROM {self._source}"  # noqa: S608
        try:
            found = self._connection.execute(query).fetchnumpy()["value"]
        except self._error as error:
            raise ProfileError(f"{self.path} has no times in timestamp: {_first_line(error)}") from error
        if np.ma.is_masked(found):
            raise ProfileError(f"{self.path} has rows without a timestamp")
        return np.asarray(np.ma.getdata(found), np.int64)

    def values(self, named: Sequence[Named], rows: int | None = None) -> "_Columns":
        """Returns the columns by name; each is read when it is asked for.

        Args:
            named: Which columns.
            rows: How many of the first rows; None for all.
        """
        return _Columns(self, {it.name: it.kind for it in named}, rows)

    def columns_of(self, profile: Profile, named: Sequence[Named]) -> "_Columns":
        """Returns the columns of a profile.

        Args:
            profile: Has all of the columns, or fewer.
            named: What is watched of the model.

        Raises:
            ProfileError: One is not there.
        """
        missing = [column.name for column in profile.columns if column.name not in self.expressions]
        if missing:
            raise ProfileError(f"{self.path} lacks {', '.join(missing)}, which the reference has")
        names = {column.name for column in profile.columns}
        return self.values([it for it in named if it.name in names])

    def column(self, name: str, kind: str, rows: int | None) -> Values:
        """Returns the values of one column, as floats or as text.

        Raises:
            ProfileError: It holds something else.
        """
        limit = "" if rows is None else f" LIMIT {rows}"
        expression = self.expressions[name]
        try:
            if kind != "number":
                return self._categories(expression, limit, kind)
            query = f"SELECT CAST({expression} AS DOUBLE) AS value FROM {self._source}{limit}"  # noqa: S608
            found = self._connection.execute(query).fetchnumpy()["value"]
        except self._error as error:
            raise ProfileError(f"{self.path} has no {_noun(kind)} in {name}: {_first_line(error)}") from error
        numbers: NDArray[np.float64] = np.ma.getdata(found)
        if isinstance(found, np.ma.MaskedArray):
            numbers[np.ma.getmaskarray(found)] = np.nan
        return numbers

    def _categories(self, expression: str, limit: str, kind: str) -> Values:
        """Returns text, of which each value is in memory once."""
        source = self._as_text if kind == "text" else self._source
        read = _READ[kind]
        value = f"CAST({expression} AS VARCHAR)"
        query = f"SELECT DISTINCT {value} FROM {source} WHERE {expression} IS NOT NULL"  # noqa: S608
        values = sorted(value for (value,) in self._connection.execute(query).fetchall())
        known = [None, *as_categories([read(value) for value in values])]
        query = f"SELECT coalesce(list_position($1, {value}), 0)::INTEGER AS value FROM {source}{limit}"  # noqa: S608
        if len(values) > MOST_LISTED:
            query = f"SELECT {value} AS value FROM {source}{limit}"  # noqa: S608
            found = self._connection.execute(query).fetchnumpy()["value"]
            filled = np.ma.filled(found, None).tolist()
            return as_categories([None if value is None else read(value) for value in filled])
        return _Coded(np.ma.getdata(self._connection.execute(query, [values]).fetchnumpy()["value"]), known)

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query).fetchall()
        except self._error as error:
            raise ProfileError(f"{self.path} cannot be read: {_first_line(error)}") from error


class LogTable(Table):
    """Predictions of one model, as the Parquet files of a log have them.

    Args:
        paths: The files, in order.
        model: The model's name.
        first_row: The first row.
        stop_row: The row behind the last one.

    Raises:
        ProfileError: They cannot be read.
    """

    def __init__(self, paths: Sequence[Path], model: str, first_row: int, stop_row: int) -> None:
        files = ", ".join(_literal(path) for path in paths)
        source = (
            f"(SELECT * FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false) "  # noqa: S608
            f"WHERE kind = 'prediction' AND model = {_text(model)} AND row >= {first_row} AND row < {stop_row})"
        )
        self._open(paths[0].parent.parent, source, source)
        features = [name for name in self.expressions if name.startswith(PREFIX)]
        self.expressions |= {name.removeprefix(PREFIX): _quoted(name) for name in features}

    def versions(self) -> tuple[str, ...]:
        """Returns the model's versions, in the order of their first predictions."""
        query = f"SELECT model_version FROM {self._source} GROUP BY model_version ORDER BY min(row)"  # noqa: S608
        return tuple(str(version) for (version,) in self._fetch(query))

    def span_us(self) -> tuple[int, int]:
        """Returns the times of the first and the last of them."""
        query = f"SELECT epoch_us(min(timestamp)), epoch_us(max(timestamp)) FROM {self._source}"  # noqa: S608
        first_us, last_us = self._fetch(query)[0]
        return int(first_us or 0), int(last_us or 0)


class _Coded(Sequence[object]):
    """Text as small whole numbers.

    Args:
        codes: Places in ``values``, shape ``(rows,)``.
        values: What they stand for.
    """

    def __init__(self, codes: NDArray[np.int32], values: Sequence[object]) -> None:
        self._codes = codes
        self._values = values

    @overload
    def __getitem__(self, at: int) -> object: ...
    @overload
    def __getitem__(self, at: slice) -> "_Coded": ...
    def __getitem__(self, at: int | slice) -> object:
        if isinstance(at, slice):
            return _Coded(self._codes[at], self._values)
        return self._values[int(self._codes[at])]

    def __iter__(self) -> Iterator[object]:
        return map(self._values.__getitem__, self._codes.tolist())

    def __len__(self) -> int:
        return len(self._codes)


class _Columns(Mapping[str, Values]):
    """The columns of a table, each read when it is asked for."""

    def __init__(self, table: Table, kinds: Mapping[str, str], rows: int | None) -> None:
        self._table = table
        self._kinds = kinds
        self._rows = rows

    def __getitem__(self, name: str) -> Values:
        return self._table.column(name, self._kinds[name], self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def _literal(path: Path) -> str:
    """The name of one file in SQL: DuckDB takes ``*``, ``?`` and ``[`` for patterns, unless they stand in brackets."""
    return _text("".join(f"[{character}]" if character in "*?[" else character for character in str(path)))


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _noun(kind: str) -> str:
    return "numbers" if kind == "number" else "text"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _as_truth(text: str) -> object:
    """A truth value that was written as true, True, 1 or 1.0 is one and the same; anything else is what it is."""
    value = _as_number(text)
    return truth(value) if value in (0, 1) else text


def _as_number(text: str) -> object:
    """A class that was written as 1, 1.0 or true is one and the same."""
    lowered = text.strip().lower()
    if lowered in {"true", "false"}:
        return lowered == "true"
    try:
        return float(lowered)
    except ValueError:
        return text


_READ: Final[Mapping[str, Callable[[str], object]]] = {"text": str, "truth": _as_truth, "category": _as_number}
"""How the texts of each kind of column are read."""
