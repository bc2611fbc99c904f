"""SQL over the committed log: DuckDB, with the Parquet and the JSON of it as one view."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import msgspec

from driftline.errors import LogDamagedError, LogUnavailableError, QueryError
from driftline.eventlog.columns import PREFIX, Columns, identifier
from driftline.eventlog.damage import sift
from driftline.eventlog.loss import look
from driftline.eventlog.parquet import connect, first_line, quoted
from driftline.eventlog.parquet_files import path_of
from driftline.eventlog.record import Block, Contents, Lines
from driftline.eventlog.writer import LOSS_REMEDY, PARQUET, SEGMENTS, segment_path

FIELDS: Final = {
    "row": "BIGINT",
    "kind": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "request_id": "VARCHAR",
    "probability": "DOUBLE",
    "predicted_class": "BIGINT",
    "prediction": "DOUBLE",
    "outcome": "DOUBLE",
    "at": "TIMESTAMP",
    "model": "VARCHAR",
    "model_version": "VARCHAR",
    "trace_id": "VARCHAR",
    "traceparent": "VARCHAR",
    "client_request_id": "VARCHAR",
    "producer": "VARCHAR",
    "seq": "BIGINT",
}
"""Columns that ``events`` has in any log, in their order; features and other fields follow, and at last ``line``.
Where a label is text, so is the column."""
VIEWS: Final = {"predictions": "prediction", "shadows": "shadow", "feedback": "feedback"}
"""Views of one kind of events each."""
_FETCH_ROWS: Final = 1000


class Table(NamedTuple):
    """What a query answers.

    Attributes:
        columns: The columns' names.
        rows: The rows, as they come.
    """

    columns: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def queried(log_dir: Path, sql: str, memory_bytes: int) -> Iterator[Table]:
    """Answers one SELECT over the log as it is committed now; nothing is written.

    The view ``events`` has every event once, ``predictions``, ``shadows`` and ``feedback`` those of a kind. A feature
    is a column of its own name or, where a field has that name, of ``features.`` and its name. Lines that are damaged
    are left out of what is still JSON; the checksums of Parquet files are not looked at, for that would read all of
    the log.

    Args:
        log_dir: The directory of the log.
        sql: The statement.
        memory_bytes: The most that DuckDB may take; a query that needs more fails.

    Raises:
        LogNotFoundError: There is no log in the directory.
        LogDamagedError: Its record is damaged, or some of it is missing.
        LogUnavailableError: It takes too much memory, or the disk refuses.
        QueryError: The SQL cannot be run, or is not one SELECT.
    """
    with connect(memory_bytes, os.cpu_count() or 1) as connection:
        _check(connection, sql)
        with _translated():
            _make_views(connection, log_dir)
            _lock(connection, log_dir)
            connection.execute(sql)
            columns = [str(column[0]) for column in connection.description or ()]
        yield Table(columns, _rows(connection))


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    with _translated():
        while rows := connection.fetchmany(_FETCH_ROWS):
            yield from rows


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise LogUnavailableError("the query takes more memory than query_memory_bytes allows") from error
    except duckdb.PermissionException as error:
        raise QueryError("SQL reads the log and no other file: events, predictions, shadows, feedback") from error
    except duckdb.IOException as error:
        raise LogUnavailableError(f"the log has changed meanwhile, or cannot be read: {first_line(error)}") from error
    except duckdb.Error as error:
        raise QueryError(_what(error)) from error


def _what(error: duckdb.Error) -> str:
    """What is wrong with SQL, in one line: what DuckDB says before it shows where."""
    return " ".join(str(error).strip().partition("\n\n")[0].split())


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(_what(error)) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError("one SELECT is what can be asked: the log is only read")


def _lock(connection: duckdb.DuckDBPyConnection, log_dir: Path) -> None:
    """From now on this DuckDB opens no file but the log's, and nothing that SQL says changes that."""
    allowed = ", ".join(_quoted(log_dir / name) for name in (PARQUET, SEGMENTS))
    for setting in (
        f"allowed_directories = [{allowed}]",
        "python_enable_replacements = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


# -- views


@dataclass(frozen=True)
class _Source:
    """A part of the log: a SELECT, and the names of its columns."""

    select: str
    columns: list[str]


def _make_views(connection: duckdb.DuckDBPyConnection, log_dir: Path) -> None:
    try:
        _, contents, lost = look(log_dir)
    except OSError as error:
        raise LogUnavailableError(f"cannot read {error.filename}: {error.strerror}") from error
    if lost:
        raise LogDamagedError(f"{lost[0]}; {LOSS_REMEDY}")
    sources = [*_of_parquet(connection, log_dir, contents), *_of_json(connection, log_dir, contents)]
    columns = list(dict.fromkeys(name for source in sources for name in source.columns))
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in FIELDS.items())
    together = " UNION ALL BY NAME ".join([f"(SELECT {nothing} WHERE false)", *(source.select for source in sources)])
    selection = ", ".join(_selected(columns))
    connection.execute(f"CREATE VIEW events AS SELECT {selection} FROM ({together})")  # noqa: S608 (quoted names)
    for name, kind in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM events WHERE kind = '{kind}'")  # noqa: S608


def _selected(columns: Sequence[str]) -> Iterator[str]:
    """The columns of ``events``, in order."""
    others = [name for name in columns if name.lower() not in FIELDS and name != "line"]
    taken = {*FIELDS, "line", *(name.lower() for name in others if not name.startswith(PREFIX))}
    yield from (identifier(name) for name in FIELDS)
    for name in others:
        feature = name.removeprefix(PREFIX)
        if feature != name and feature.lower() not in taken:
            taken.add(feature.lower())
            yield f"{identifier(name)} AS {identifier(feature)}"
        else:
            yield identifier(name)
    if "line" in columns:
        yield "decode(line) AS line"


def _of_parquet(connection: duckdb.DuckDBPyConnection, log_dir: Path, contents: Contents) -> Iterator[_Source]:
    if not contents.files:
        return
    names = ", ".join(_quoted(path_of(log_dir, file)) for file in contents.files)
    select = f"SELECT * FROM read_parquet([{names}], union_by_name = true, hive_partitioning = false)"  # noqa: S608
    columns = connection.execute(f"DESCRIBE {select}").fetchall()
    yield _Source(f"({select})", [str(column[0]) for column in columns])


def _of_json(connection: duckdb.DuckDBPyConnection, log_dir: Path, contents: Contents) -> Iterator[_Source]:
    for segment in contents.segments():
        if not segment.blocks:
            continue
        path, columns = segment_path(log_dir, segment.number), Columns()
        first_row, last = segment.blocks[0].first_row, segment.blocks[-1]
        stop_row = last.first_row + last.lines
        events = _events(path, segment.blocks)
        sound = [_gathered(columns, lines, block) for block, lines in events]
        if all(sound):
            source = columns.source(path.absolute(), first_row)
        else:
            source = columns.source_of(_salvage(connection, path, segment.blocks))
        select = f"(SELECT {columns.selection()} FROM {source} WHERE row < {stop_row})"  # noqa: S608
        yield _Source(select, columns.names())


def _gathered(columns: Columns, lines: Lines, block: Block) -> bool:
    """Adds a block's lines to the columns; returns whether each of them is there, and an event."""
    good = 0
    for _, line in lines:
        event = _event(line)
        if event is not None:
            columns.add(line, event)
            good += 1
    return good == block.lines


_decoder = msgspec.json.Decoder(dict[str, Any])


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _events(path: Path, blocks: Sequence[Block]) -> Iterator[tuple[Block, Lines]]:
    try:
        with path.open("rb") as segment:
            for block in blocks:
                segment.seek(block.start)
                yield block, sift(block, segment.read(block.length)).lines
    except OSError as error:
        raise LogUnavailableError(f"{path} cannot be read: {error.strerror}") from error


def _salvage(connection: duckdb.DuckDBPyConnection, path: Path, blocks: Sequence[Block]) -> str:
    """Copies the good lines of a damaged segment into a table, in memory, and returns its name."""
    table = f"salvaged_{blocks[0].segment}"
    connection.execute(f"CREATE TEMP TABLE {table} (row BIGINT, line VARCHAR)")
    for _, lines in _events(path, blocks):
        good = [(row, line) for row, line in lines if _event(line) is not None]
        values = [[row for row, _ in good], [line.decode() for _, line in good]]
        connection.execute(f"INSERT INTO {table} SELECT unnest(?), unnest(?)", values)
    return table


def _quoted(path: Path) -> str:
    return f"'{quoted(path.absolute())}'"
