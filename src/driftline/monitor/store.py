"""What the monitor knows, in one SQLite file beside the log: a fold over it that can be thrown away and made again.

Only alerts, and what became of their delivery, are more than that: they are what people were told.
"""

import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from driftline.durable import make_directory
from driftline.errors import MonitorError
from driftline.monitor import delivery, history, silences

SCHEMA_VERSION: Final = 2
FILE_NAME: Final = "monitor.sqlite"
WATCHED: Final = "watched"
"""Kept in ``meta`` under every profile: what was watched last."""
JUDGED_FROM: Final = "judged_from_us"
"""Kept in ``meta`` under every profile: since when that is what answers."""
_OUTCOMES: Final = """CREATE TABLE outcomes (
    request_id BLOB PRIMARY KEY, outcome REAL NOT NULL, at_us INTEGER NOT NULL, row INTEGER NOT NULL,
    told TEXT NOT NULL, corrected INTEGER NOT NULL,
    cell INTEGER, version TEXT, segment TEXT, made_us INTEGER, score ANY, predicted_class INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX outcomes_without_prediction ON outcomes (request_id) WHERE cell IS NULL;
"""
_SCHEMA: Final = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE profiles (
    profile TEXT PRIMARY KEY, adopted_us INTEGER NOT NULL, provisional INTEGER NOT NULL, content BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE cells (
    cell INTEGER NOT NULL, version TEXT NOT NULL, segment TEXT NOT NULL, producer TEXT NOT NULL,
    start_us INTEGER NOT NULL, stop_us INTEGER NOT NULL, first_row INTEGER NOT NULL, stop_row INTEGER NOT NULL,
    rows INTEGER NOT NULL, counts BLOB NOT NULL,
    PRIMARY KEY (cell, version, segment, producer)
) STRICT, WITHOUT ROWID;
CREATE INDEX cells_by_row ON cells (stop_row);
CREATE TABLE hours (
    hour INTEGER NOT NULL, version TEXT NOT NULL, segment TEXT NOT NULL, producer TEXT NOT NULL,
    start_us INTEGER NOT NULL, stop_us INTEGER NOT NULL, first_row INTEGER NOT NULL, stop_row INTEGER NOT NULL,
    rows INTEGER NOT NULL, counts BLOB NOT NULL,
    PRIMARY KEY (hour, version, segment, producer)
) STRICT, WITHOUT ROWID;
CREATE TABLE streams (
    stream TEXT PRIMARY KEY, next_cell INTEGER NOT NULL, scan BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE windows (
    window INTEGER PRIMARY KEY, stream TEXT NOT NULL, profile TEXT NOT NULL, first_cell INTEGER NOT NULL,
    stop_cell INTEGER NOT NULL, start_us INTEGER NOT NULL, stop_us INTEGER NOT NULL, rows INTEGER NOT NULL,
    state TEXT NOT NULL, judged_us INTEGER NOT NULL
) STRICT;
CREATE INDEX windows_by_time ON windows (stream, start_us);
CREATE TABLE verdicts (
    window INTEGER NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, kind TEXT NOT NULL, detector TEXT NOT NULL,
    question TEXT NOT NULL, label TEXT NOT NULL, log_p REAL NOT NULL, log_risk REAL NOT NULL,
    span_windows INTEGER NOT NULL, span_rows INTEGER NOT NULL, since_us INTEGER NOT NULL, moved REAL NOT NULL,
    psi REAL NOT NULL, js REAL NOT NULL, ks REAL NOT NULL, wasserstein REAL, missing REAL NOT NULL,
    out_of_range REAL NOT NULL,
    PRIMARY KEY (window, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE segment_references (segment TEXT PRIMARY KEY, counts BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE spans (
    first_row INTEGER PRIMARY KEY, stop_row INTEGER NOT NULL, min_us INTEGER NOT NULL, max_us INTEGER NOT NULL
) STRICT;
{_OUTCOMES}CREATE TABLE quality (
    cell INTEGER NOT NULL, version TEXT NOT NULL, segment TEXT NOT NULL, delay INTEGER NOT NULL, counts BLOB NOT NULL,
    PRIMARY KEY (cell, version, segment, delay)
) STRICT, WITHOUT ROWID;
CREATE TABLE scored (
    cell INTEGER NOT NULL, version TEXT NOT NULL, segment TEXT NOT NULL, counts BLOB NOT NULL,
    PRIMARY KEY (cell, version, segment)
) STRICT, WITHOUT ROWID;
CREATE TABLE traffic (
    at_us INTEGER PRIMARY KEY, seconds REAL NOT NULL, requests INTEGER NOT NULL, refused INTEGER NOT NULL,
    failed INTEGER NOT NULL, p50_s REAL, p99_s REAL
) STRICT;
{history.TABLES}{delivery.TABLES}{silences.TABLES}PRAGMA user_version = {SCHEMA_VERSION};
"""
_BEFORE_LABELS: Final = 1
"""The version of a store that knew no outcomes but 0 and 1."""
SPAN_ROWS: Final = 4096
OF_THE_FOLD: Final = (
    "cells",
    "hours",
    "streams",
    "windows",
    "verdicts",
    "spans",
    "segment_references",
    "outcomes",
    "quality",
    "scored",
)
"""What is made again when the reference changes, or the log is another one."""
_CELL: Final = "start_us, stop_us, first_row, stop_row, rows, counts"


class CellKey(NamedTuple):
    """What is counted apart: a slice of time (or of rows), a model version, a segment, and who answered."""

    cell: int
    version: str
    segment: str
    producer: str


class Cell(NamedTuple):
    """The counts of one key.

    Attributes:
        start_us: The first event's time, microseconds since 1970.
        stop_us: The last event's.
        first_row: The first row of the log that was counted.
        stop_row: The row behind the last one.
        rows: Predictions.
        counts: By the layout of the profile, shape ``(size,)``.
    """

    start_us: int
    stop_us: int
    first_row: int
    stop_row: int
    rows: int
    counts: NDArray[np.int64]

    def plus(self, other: "Cell") -> "Cell":
        """Returns the counts of both."""
        return Cell(
            min(self.start_us, other.start_us),
            max(self.stop_us, other.stop_us),
            min(self.first_row, other.first_row),
            max(self.stop_row, other.stop_row),
            self.rows + other.rows,
            self.counts + other.counts,
        )


class MonitorStore:
    """The file; one process writes it, others may read it meanwhile.

    Args:
        path: The file.
        create: Make it if it is not there.

    Raises:
        MonitorError: It is not there, is none of ours, or of a newer Driftline; or the disk refuses.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise MonitorError(f"there is no {path}: no monitor has run here (driftline monitor)")
        try:
            if create:
                make_directory(path.parent)
            mode = "rwc" if create else "rw"
            self.connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=10.0,
            )
        except (OSError, sqlite3.Error) as error:
            raise MonitorError(f"cannot use {path}: {error}") from error
        try:
            self._open(create)
        except sqlite3.Error as error:
            self.connection.close()
            raise MonitorError(f"cannot use {path}: {error}") from error
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives up the file."""
        self.connection.close()

    def _open(self, create: bool) -> None:
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and create:
            self.connection.execute("PRAGMA journal_mode = WAL")
            with self.transaction():
                for statement in _SCHEMA.split(";"):
                    self.connection.execute(statement)
        elif version == _BEFORE_LABELS and create:
            self._fold_again()
        elif version != SCHEMA_VERSION:
            raise MonitorError(
                f"{self.path} is of version {version}, and this Driftline knows {SCHEMA_VERSION}; "
                "it can be made again from the log: stop the monitor, and remove the file"
            )
        # What is lost in a power cut is folded again, from the position that goes with it.
        self.connection.execute("PRAGMA synchronous = NORMAL")

    def _fold_again(self) -> None:
        """Makes the tables of this version, and forgets what is folded from the log again; alerts are kept."""
        with self.transaction():
            self.connection.execute("DROP TABLE outcomes")
            for statement in _OUTCOMES.split(";"):
                self.connection.execute(statement)
            for table in (*OF_THE_FOLD, "meta"):
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Within it, everything that is written is written together, or nothing is."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")  # which a full disk refuses, too
        except BaseException:
            if self.connection.in_transaction:  # SQLite itself may have rolled it back
                self.connection.execute("ROLLBACK")
            raise

    # -- single values

    def meta(self) -> dict[str, str]:
        """Returns the single values by name, such as ``position_row``: how far the log has been folded."""
        return dict(self.connection.execute("SELECT key, value FROM meta"))

    def put_meta(self, values: Mapping[str, str]) -> None:
        """Replaces single values."""
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    # -- profiles

    def adopt(self, profile_id: str, content: bytes, *, provisional: bool) -> None:
        """Begins anew under a profile: what was counted under another one is forgotten."""
        with self.transaction():
            for table in OF_THE_FOLD:
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            self.connection.execute("DELETE FROM meta WHERE key NOT IN (?, ?)", (WATCHED, JUDGED_FROM))
            self.connection.execute(
                "INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?)",
                (profile_id, time.time_ns() // 1000, provisional, zlib.compress(content)),
            )
            self.put_meta({"profile": profile_id, "position_row": "0", "ordinal": "0"})

    def forget_judgements(self) -> None:
        """Keeps the counts, and forgets what was found in them."""
        with self.transaction():
            for table in ("streams", "windows", "verdicts"):
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours

    def profile(self, profile_id: str) -> bytes:
        """Returns a profile that was adopted once, as JSON.

        Raises:
            MonitorError: It never was.
        """
        row = self.connection.execute("SELECT content FROM profiles WHERE profile = ?", (profile_id,)).fetchone()
        if row is None:
            raise MonitorError(f"the monitor has never used a profile {profile_id}")
        return zlib.decompress(row[0])

    def put_segment_references(self, references: Mapping[str, NDArray[np.int64]]) -> None:
        """Keeps what the reference's rows are in each segment, by the layout of its columns."""
        with self.transaction():
            self.connection.executemany(
                "INSERT OR REPLACE INTO segment_references VALUES (?, ?)",
                [(segment, packed(counts)) for segment, counts in references.items()],
            )

    def segment_references(self) -> dict[str, NDArray[np.int64]]:
        """Returns what was kept of each segment's reference."""
        rows = self.connection.execute("SELECT segment, counts FROM segment_references")
        return {segment: unpacked(counts) for segment, counts in rows}

    # -- cells

    def cell(self, key: CellKey) -> Cell | None:
        """Returns the counts of one key, if there are any."""
        return self._one("cells", "cell", key)

    def put_cell(self, key: CellKey, cell: Cell) -> None:
        """Replaces the counts of one key."""
        self._put("cells", key, cell)

    def cells(self, first: int, stop: int, segment: str | None = None) -> dict[int, Cell]:
        """Returns the sums of the cells ``first <= cell < stop`` that have rows, of all traffic or one segment."""
        return self._sums("cells", "cell", first, stop, segment)

    def cells_apart(self, first: int, stop: int) -> dict[CellKey, Cell]:
        """Returns the cells ``first <= cell < stop``, each by itself."""
        query = f"SELECT cell, version, segment, producer, {_CELL} FROM cells WHERE cell >= ? AND cell < ?"  # noqa: S608
        return {CellKey(*row[:4]): _cell(row[4:]) for row in self.connection.execute(query, (first, stop))}

    def remove_cell(self, key: CellKey) -> None:
        """Forgets the counts of one key."""
        self.connection.execute(
            "DELETE FROM cells WHERE cell = ? AND version = ? AND segment = ? AND producer = ?", key
        )

    def hour(self, key: CellKey) -> Cell | None:
        """Returns what was rolled up of one hour, given as the key's ``cell``: the number of hours since 1970."""
        return self._one("hours", "hour", key)

    def put_hour(self, key: CellKey, cell: Cell) -> None:
        """Replaces it."""
        self._put("hours", key, cell)

    def hours(self, first: int, stop: int, segment: str | None = None) -> dict[int, Cell]:
        """Returns the sums of the hours ``first <= hour < stop`` that something was rolled up in."""
        return self._sums("hours", "hour", first, stop, segment)

    def rows(self, first: int, stop: int, segment: str | None = None) -> int:
        """Returns the rows in the cells ``first <= cell < stop``."""
        query = "SELECT coalesce(sum(rows), 0) FROM cells WHERE cell >= ? AND cell < ?"
        query += "" if segment is None else " AND segment = ?"
        arguments = (first, stop) if segment is None else (first, stop, segment)
        return int(self.connection.execute(query, arguments).fetchone()[0])

    def _one(self, table: str, number: str, key: CellKey) -> Cell | None:
        row = self.connection.execute(
            f"SELECT {_CELL} FROM {table} WHERE {number} = ? AND version = ? AND segment = ? AND producer = ?",  # noqa: S608 - names of ours
            key,
        ).fetchone()
        return None if row is None else _cell(row)

    def _put(self, table: str, key: CellKey, cell: Cell) -> None:
        self.connection.execute(
            f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names of ours
            (*key, *cell[:5], packed(cell.counts)),
        )

    def _sums(self, table: str, number: str, first: int, stop: int, segment: str | None) -> dict[int, Cell]:
        summed: dict[int, Cell] = {}
        query = f"SELECT {number}, {_CELL} FROM {table} WHERE {number} >= ? AND {number} < ?"  # noqa: S608 - names of ours
        query += "" if segment is None else " AND segment = ?"
        arguments = (first, stop) if segment is None else (first, stop, segment)
        for at, *fields in self.connection.execute(query, arguments):
            cell = _cell(fields)
            summed[at] = summed[at].plus(cell) if at in summed else cell
        return summed

    def numbers(self, first: int, stop: int, segment: str | None = None) -> list[int]:
        """Returns which of the cells ``first <= cell < stop`` have rows, in order."""
        query = "SELECT DISTINCT cell FROM cells WHERE cell >= ? AND cell < ?"
        query += "" if segment is None else " AND segment = ?"
        arguments = (first, stop) if segment is None else (first, stop, segment)
        return sorted(row[0] for row in self.connection.execute(query, arguments))

    def cell_of(self, row: int) -> int | None:
        """Returns the cell that a row of the log was counted in, where cells are of rows."""
        query = "SELECT cell FROM cells WHERE first_row <= ? AND stop_row > ? ORDER BY stop_row LIMIT 1"
        found = self.connection.execute(query, (row, row)).fetchone()
        return None if found is None else int(found[0])

    def stretch_spans(self, rows: NDArray[np.int64], times_us: NDArray[np.int64]) -> None:
        """Notes when the predictions in these rows of the log were made, so that they are found again by time.

        Spans begin at multiples of :data:`SPAN_ROWS`, however the rows come in.
        """
        for first in np.unique(rows // SPAN_ROWS) * SPAN_ROWS:
            own = (rows >= first) & (rows < first + SPAN_ROWS)
            self.connection.execute(
                "INSERT INTO spans VALUES (?, ?, ?, ?) ON CONFLICT (first_row) DO UPDATE SET "
                "stop_row = max(stop_row, excluded.stop_row), min_us = min(min_us, excluded.min_us), "
                "max_us = max(max_us, excluded.max_us)",
                (int(first), int(rows[own].max()) + 1, int(times_us[own].min()), int(times_us[own].max())),
            )

    def segments(self) -> list[str]:
        """Returns the segments that have rows, without the empty one."""
        return [row[0] for row in self.connection.execute("SELECT DISTINCT segment FROM cells WHERE segment != ''")]


def _cell(row: Sequence[Any]) -> Cell:
    start_us, stop_us, first_row, stop_row, rows, counts = row
    return Cell(start_us, stop_us, first_row, stop_row, rows, unpacked(counts))


def packed(counts: NDArray[np.int64]) -> bytes:
    """Returns counts as bytes: little-endian, compressed; most are 0, or small."""
    return zlib.compress(counts.astype("<i8").tobytes(), level=1)


def unpacked(content: bytes) -> NDArray[np.int64]:
    """Returns the counts that :func:`packed` made bytes of."""
    return np.frombuffer(zlib.decompress(content), "<i8").astype(np.int64, copy=False)
