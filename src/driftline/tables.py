"""Tables in files, read some rows at a time: CSV, JSONL, Parquet."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from driftline.errors import TableError

Progress = Callable[[int, int], None]
"""Told how much is read, and of how much: bytes, or a Parquet file's rows."""
Rows = Iterator[Sequence[Any]]

DELIMITERS: Final = ",;\t"
PIECE_VALUES: Final = 100_000
"""About so many values are in memory at once."""
PIECE_ROWS: Final = 4096
_TELL_ROWS: Final = 1000


class Table:
    """A file of rows that have the same columns.

    Args:
        path: Ends in ``.csv``, ``.jsonl``, ``.ndjson`` or ``.parquet``.

    Attributes:
        path: The file.
        names: Its columns.
        text: Whether all cells are text, which a CSV file's are.

    Raises:
        TableError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        read = _READERS.get(path.suffix.lower())
        if read is None:
            raise TableError(f"{path} does not end in one of {', '.join(_READERS)}")
        self.path: Final = path
        self.text: Final = read is _csv
        self._read: Final = read
        names, rows = _guarded(path, lambda: read(path, _ignore))
        rows.close()
        if len(set(names)) < len(names):
            raise TableError(f"{path} has a column twice: {next(name for name in names if names.count(name) > 1)}")
        if not names:
            raise TableError(f"{path} has no columns")
        self.names: Final = names

    def pieces(self, most_rows: int | None = None, progress: Progress | None = None) -> Iterator[dict[str, list[Any]]]:
        """Yields the rows in their order, as columns of some thousand rows at most, none of them empty.

        Args:
            most_rows: Stop after so many; None for all.
            progress: See :data:`Progress`.

        Raises:
            TableError: The file cannot be read, or its rows do not have the same columns.
        """
        size = max(1, min(PIECE_ROWS, PIECE_VALUES // len(self.names)))
        names, rows = _guarded(self.path, lambda: self._read(self.path, progress or _ignore))
        try:
            wanted = islice(rows, most_rows)
            while piece := _guarded(self.path, lambda: list(islice(wanted, size))):
                yield {name: list(cells) for name, cells in zip(names, zip(*piece, strict=True), strict=True)}
        finally:
            rows.close()


def _ignore(_done: int, _total: int) -> None:
    """What is told of progress when nobody asked."""


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise TableError(f"{path} cannot be read: {error}") from error


# -- one function for each format: the names of the columns, and a generator of rows; ValueError for what it cannot read


def _csv(path: Path, progress: Progress) -> tuple[tuple[str, ...], Any]:
    rows = _csv_rows(path, progress)
    return tuple(next(rows)), rows


def _csv_rows(path: Path, progress: Progress) -> Rows:
    size = path.stat().st_size
    with path.open("rb") as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        first = text.readline()
        text.seek(0)
        reader = csv.reader(text, strict=True, delimiter=max(DELIMITERS, key=first.count))
        try:
            header = next(reader, [])
            yield header
            for done, fields in enumerate(filter(None, reader)):
                if len(fields) != len(header):
                    raise ValueError(f"line {reader.line_num} has {len(fields)} fields, its header {len(header)}")
                yield fields
                if done % _TELL_ROWS == 0:
                    progress(file.tell(), size)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error


def _jsonl(path: Path, progress: Progress) -> tuple[tuple[str, ...], Any]:
    rows = _jsonl_rows(path, progress)
    return tuple(next(rows)), rows


def _jsonl_rows(path: Path, progress: Progress) -> Rows:
    size = path.stat().st_size
    names: tuple[str, ...] | None = None
    with path.open("rb") as file:
        lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        for done, (number, line) in enumerate(lines):
            row = _object(line, number)
            if names is None:
                names = tuple(row)
                yield names
            if row.keys() != set(names):
                odd = sorted(row.keys() ^ set(names))
                raise ValueError(f"line {number} does not have the same fields as the first: {', '.join(odd)}")
            yield [row[name] for name in names]
            if done % _TELL_ROWS == 0:
                progress(file.tell(), size)
    if names is None:
        yield ()


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)  # what Python and pandas write may have NaN in it, which stricter readers refuse
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is not an object")  # noqa: TRY004 (of the file, not of the caller)
    return row


def _parquet(path: Path, progress: Progress) -> tuple[tuple[str, ...], Any]:
    rows = _parquet_rows(path, progress)
    return tuple(next(rows)), rows


def _parquet_rows(path: Path, progress: Progress) -> Rows:
    import duckdb  # noqa: PLC0415 - slow to load, and only Parquet needs it

    path.stat()  # or a file that is not there would be told of in DuckDB's words
    with duckdb.connect(config={"threads": 1, "preserve_insertion_order": True}) as connection:
        try:
            source = f"read_parquet({literal(path)}, hive_partitioning = false)"
            total = connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]  # noqa: S608 (quoted)
            connection.execute(f"SELECT * FROM {source}")  # noqa: S608 (quoted)
            yield [column[0] for column in connection.description or ()]
            done = 0
            while rows := connection.fetchmany(PIECE_ROWS):
                yield from rows
                done += len(rows)
                progress(done, total)
        except duckdb.Error as error:
            raise ValueError(str(error).splitlines()[0]) from error


def literal(path: Path) -> str:
    """Returns the name of one file in SQL: DuckDB takes ``*``, ``?`` and ``[`` for patterns, unless in brackets."""
    escaped = "".join(f"[{character}]" if character in "*?[" else character for character in str(path))
    return "'" + escaped.replace("'", "''") + "'"


_READERS: Final = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}
