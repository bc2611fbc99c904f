"""The SQLite file that holds the record of a log: made, opened, and checked whenever it is."""

import os
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from driftline.errors import LogDamagedError, LogNotFoundError
from driftline.eventlog import seal
from driftline.eventlog.sqlite_errors import REMEDY, translated

_SCHEMA_VERSION = 1
_COMPACTING_VERSION = 2
"""Of a record that says which segments are Parquet: a Driftline from before there were any must not open it."""
_SCHEMA = f"""
CREATE TABLE identity (log_id TEXT NOT NULL, openings INTEGER NOT NULL) STRICT;
CREATE TABLE predecessors (log_id TEXT PRIMARY KEY) STRICT;
CREATE TABLE segments (number INTEGER PRIMARY KEY, created_at REAL NOT NULL) STRICT;
CREATE TABLE blocks (
    segment INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
    first_row INTEGER NOT NULL, lines INTEGER NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (segment, start)
) STRICT, WITHOUT ROWID;
CREATE TABLE producers (producer TEXT PRIMARY KEY, committed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE gaps (producer TEXT NOT NULL, first_seq INTEGER NOT NULL, stop_seq INTEGER NOT NULL) STRICT;
CREATE TABLE tombstones (producer TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (producer, seq))
    STRICT, WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA_VERSION};
"""
_COMPACTING_SCHEMA = f"""
CREATE TABLE compacted (segment INTEGER PRIMARY KEY, first_row INTEGER NOT NULL, lines INTEGER NOT NULL) STRICT;
CREATE TABLE parquet (
    segment INTEGER NOT NULL, day TEXT NOT NULL, first_row INTEGER NOT NULL, stop_row INTEGER NOT NULL,
    lines INTEGER NOT NULL, size_bytes INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (segment, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE expired (
    producer TEXT NOT NULL, first_seq INTEGER NOT NULL, stop_seq INTEGER NOT NULL, PRIMARY KEY (producer, first_seq)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = {_COMPACTING_VERSION};
"""


class RecordFile:
    """The SQLite file of one log directory.

    Args:
        path: The file.
        create: Make it, with a new log id, if it is not there.
        at_rest: Where nothing may be written and no writer has left anything to be recovered, take the file as it is:
            SQLite itself could not read it there. Only for readers that may fail when a writer comes meanwhile, or
            open it again when :meth:`in_place` says so.

    Raises:
        LogNotFoundError: It is not there, and was not to be made.
        LogDamagedError: It is not such a file, or of a newer version of Driftline, or not what was written into it.
    """

    def __init__(self, path: Path, *, create: bool = False, at_rest: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise self._nothing()
        mode = "rwc" if create else "rw"
        self._at_rest = False
        if at_rest and not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
            mode, self._at_rest = "ro&immutable=1", True
        with translated(path):
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=5.0,
            )
            try:
                self._open(create)
                self._file = path.stat()
            except BaseException:
                self._connection.close()
                raise

    def in_place(self) -> bool:
        """Whether the path still leads to the file that is open; and no writer has come, if it was taken as it is."""
        # By stat alone: closing a second descriptor of the file would take SQLite's locks away (POSIX).
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not os.path.samestat(self._file, found):
            return False
        if not self._at_rest:
            return True
        unchanged = (found.st_size, found.st_mtime_ns) == (self._file.st_size, self._file.st_mtime_ns)
        return unchanged and not Path(f"{self.path}-wal").exists()

    def _open(self, create: bool) -> None:
        self._connection.execute("PRAGMA synchronous = FULL")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == _SCHEMA_VERSION and self._compacts():
            raise LogDamagedError(f"{self.path} is damaged (it is of two versions); {REMEDY}")
        if version == 0 and create:
            self._create()
        elif version == 0:  # it is being made at this moment
            raise self._nothing()
        elif version not in {_SCHEMA_VERSION, _COMPACTING_VERSION}:
            raise LogDamagedError(
                f"{self.path} has schema version {version}; this Driftline reads {_COMPACTING_VERSION}"
            )
        self._check()

    def _check(self) -> None:
        """Makes sure, at each opening, that the file is what was written into it; costs about 2 us a row."""
        self._connection.execute("BEGIN")
        try:
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            sealed = found == "ok" and seal.holds(self._connection)
        finally:
            self._connection.execute("ROLLBACK")
        if not sealed:
            what = "its rows are not those that were written" if found == "ok" else " ".join(found.split())
            raise LogDamagedError(f"{self.path} is damaged ({what}); {REMEDY}")

    def _nothing(self) -> LogNotFoundError:
        return LogNotFoundError(f"there is no log in {self.path.parent}; nothing has been committed there yet")

    def _create(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self._transaction():
            self._run(_SCHEMA)
            self._connection.execute("INSERT INTO identity VALUES (?, 0)", (uuid.uuid4().hex,))
            self._connection.execute("INSERT INTO segments VALUES (1, ?)", (time.time(),))
            seal.renew(self._connection)

    def _run(self, script: str) -> None:
        for statement in filter(str.strip, script.split(";")):
            self._connection.execute(statement)

    def _compacts(self) -> bool:
        """Whether there are the tables that speak of compacted segments; another process may make them at any time."""
        return bool(self._rows("SELECT 1 FROM sqlite_schema WHERE name = 'compacted'"))

    def _make_compacting(self) -> None:
        """Makes these tables, within the transaction that puts the first rows into them."""
        if not self._compacts():
            self._run(_COMPACTING_SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def as_bytes(self) -> bytes:
        """Returns the file as it would be with all that is committed in it."""
        with translated(self.path):
            return self._connection.serialize()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, everything that is asked is of one moment; one within another is of the moment of that one."""
        if self._connection.in_transaction:
            yield
            return
        with translated(self.path):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _put(self, table: str, where: str, rows: Iterable[tuple[Sequence[object], Sequence[object]]]) -> int:
        """Puts each row in the place of the one with its key; returns what the seal has to follow."""
        removed: list[seal.Row] = []
        added: list[seal.Row] = []
        columns = seal.TABLES[table]
        marks = ",".join("?" * len(columns.split(",")))
        for key, row in rows:
            removed += self._connection.execute(f"SELECT {columns} FROM {table} WHERE {where}", key)  # noqa: S608
            self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608
            added.append(tuple(row))
        return seal.difference(table, removed, added)

    def _remove(self, table: str, where: str, keys: Iterable[Sequence[object]]) -> int:
        """Removes the rows with these keys; returns what the seal has to follow."""
        removed: list[seal.Row] = []
        for key in keys:
            removed += self._connection.execute(f"SELECT {seal.TABLES[table]} FROM {table} WHERE {where}", key)  # noqa: S608
            self._connection.execute(f"DELETE FROM {table} WHERE {where}", key)  # noqa: S608
        return seal.difference(table, removed, ())

    def _rows(self, query: str, *values: str | int) -> list[tuple[str | int | float, ...]]:
        with translated(self.path):
            return self._connection.execute(query, values).fetchall()
