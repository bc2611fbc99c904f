"""Reads and writes the Parquet files of a log, by DuckDB; loaded only where there are any, or are to be."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from driftline.contract.checksum import vouched
from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.columns import Columns
from driftline.eventlog.damage import Damage
from driftline.eventlog.parquet_files import damage_of, path_of
from driftline.eventlog.record import Lines, ParquetFile

MEMORY_BYTES = 512 << 20
"""The most that DuckDB may take while it reads or writes a segment; it takes some 100 MB."""
GROUP_BYTES = 8 << 20
"""Lines of about so many bytes make a row group: what a seek has to decode, and what is in memory at a time."""
_GROUP_ROWS = (2048, 122_880)
"""A row group has at least a vector of DuckDB's, and at most what it takes by itself."""


def connect(memory_bytes: int = MEMORY_BYTES, threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Returns a DuckDB that has no database, fetches nothing from anywhere, and reckons in UTC."""
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": f"{memory_bytes // 1024}KiB",
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Lets no error of DuckDB's out."""
    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise LogUnavailableError(f"{what}: {first_line(error)}") from error
    except duckdb.Error as error:
        raise LogDamagedError(f"{what}: {first_line(error)}") from error


def first_line(error: duckdb.Error) -> str:
    """Returns what is wrong; the lines behind that say what one might try in a session of DuckDB's own."""
    text = str(error).strip()
    with suppress(json.JSONDecodeError, TypeError, KeyError):  # what comes from within a COPY
        text = str(json.loads(text[text.index("{") :])["exception_message"]) if "{" in text else text
    return text.partition("\n")[0]


def days_of(source: Path, columns: Columns, fallback: str) -> list[str]:
    """Returns the UTC days of the events in a file of JSON lines, in order.

    Args:
        source: The file.
        columns: Its columns.
        fallback: The day of events that do not say theirs.

    Raises:
        LogDamagedError: A line is not JSON.
        LogUnavailableError: The file cannot be read.
    """
    with _translated(str(source)), connect() as connection:
        query = (
            f"SELECT DISTINCT CAST({columns.day(fallback)} AS VARCHAR) FROM {columns.source(source, 0)} ORDER BY ALL"  # noqa: S608
        )
        return [str(day) for (day,) in connection.execute(query).fetchall()]


def write_day(source: Path, target: Path, columns: Columns, *, first_row: int, day: str, fallback: str) -> None:
    """Writes the events of one day of a segment as Parquet; the file is not synced.

    Args:
        source: The segment, JSON lines.
        target: The file to write.
        columns: What of the lines becomes a column.
        first_row: The row of the segment's first line.
        day: Which events.
        fallback: The day of events that do not say theirs.

    Raises:
        LogDamagedError: A line is not JSON.
        LogUnavailableError: A file cannot be read or written.
    """
    fewest, most = _GROUP_ROWS
    rows = min(most, max(fewest, GROUP_BYTES // max(1, columns.line_bytes) // fewest * fewest))
    query = (
        f"COPY (SELECT {columns.selection()} FROM {columns.source(source, first_row)} "  # noqa: S608
        f"WHERE {columns.day(fallback)} = DATE '{day}') TO '{quoted(target)}' "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {rows})"
    )
    with _translated(f"{source} as Parquet"), connect() as connection:
        connection.execute(query)


def quoted(path: Path) -> str:
    """Returns a path as it stands between the quotes of SQL."""
    return str(path).replace("'", "''")


def windows(paths: Sequence[Path], suspects: Sequence[Path], start_row: int, stop_row: int) -> Iterator[Lines]:
    """Yields the lines of these rows, in order, about a row group at a time.

    Args:
        paths: Files of one segment that are what was recorded.
        suspects: Others of it that are not; of these only the lines that vouch for themselves are given out.
        start_row: The first row.
        stop_row: The row behind the last one.

    Raises:
        LogDamagedError: A file is not Parquet, or not of a log.
        LogUnavailableError: A file is not there, or cannot be read.
    """
    sound, unsound = [str(path) for path in paths], [str(path) for path in suspects]
    with _translated(", ".join(sound)), connect() as connection:
        step = _group_rows(connection, sound) if sound else _GROUP_ROWS[0]
        for first in range(start_row, stop_row, step):
            stop = min(first + step, stop_row)
            lines = _window(connection, sound, first, stop) if sound else []
            for name in unsound:
                lines += _vouched(connection, name, first, stop)
            yield sorted(lines) if unsound else lines


def rows_of(path: Path) -> tuple[int, int, int]:
    """Returns a file's first row, the row behind its last, and its lines.

    Raises:
        LogDamagedError: It is not Parquet, or not of a log.
        LogUnavailableError: It cannot be read.
    """
    with _translated(str(path)), connect() as connection:
        query = "SELECT min(row), max(row) + 1, count(row) FROM read_parquet([?])"
        first, stop, lines = connection.execute(query, [str(path)]).fetchall()[0]
        return (int(first), int(stop), int(lines)) if lines else (0, 0, 0)


def salvaged(log_dir: Path, file: ParquetFile) -> Damage:
    """Returns what is lost of a damaged file; reads all of it."""
    good = sum(len(lines) for lines in windows([], [path_of(log_dir, file)], file.first_row, file.stop_row))
    return damage_of(file, max(0, file.lines - good))


def _vouched(connection: duckdb.DuckDBPyConnection, name: str, start_row: int, stop_row: int) -> Lines:
    """What can still be read of a damaged file, and vouches for itself."""
    try:
        found = _window(connection, [name], start_row, stop_row)
    except duckdb.Error:
        return []
    return [(row, line) for row, line in found if line and vouched(line)]  # it may be null there


def _group_rows(connection: duckdb.DuckDBPyConnection, names: list[str]) -> int:
    query = "SELECT max(ceil(num_rows / greatest(num_row_groups, 1))) FROM parquet_file_metadata(?)"
    rows: float = connection.execute(query, [names]).fetchall()[0][0]
    return max(1, math.ceil(rows))


def _window(connection: duckdb.DuckDBPyConnection, names: list[str], start_row: int, stop_row: int) -> Lines:
    query = "SELECT row, line FROM read_parquet(?) WHERE row >= ? AND row < ? ORDER BY row"
    return connection.execute(query, [names, start_row, stop_row]).fetchall()
