"""The SQLite file that holds the record of a log: made, opened, and checked whenever it is."""

import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftline.errors import LogDamagedError, LogNotFoundError
from driftline.eventlog import seal
from driftline.eventlog.sqlite_errors import REMEDY, translated

_SCHEMA_VERSION = 1
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


class RecordFile:
    """The SQLite file of one log directory.

    Args:
        path: The file.
        create: Make it, with a new log id, if it is not there.
        at_rest: Where nothing may be written and no writer has left anything to be recovered, take the file as it is:
            SQLite itself could not read it there. Only for readers that may fail when a writer comes meanwhile.

    Raises:
        LogNotFoundError: It is not there, and was not to be made.
        LogDamagedError: It is not such a file, or of a newer version of Driftline, or not what was written into it.
    """

    def __init__(self, path: Path, *, create: bool = False, at_rest: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise self._nothing()
        mode = "rwc" if create else "rw"
        if at_rest and not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
            mode = "ro&immutable=1"
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
        """Whether the path still leads to the file that is open."""
        # By stat alone: closing a second descriptor of the file would take SQLite's locks away (POSIX).
        try:
            return os.path.samestat(self._file, self.path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _open(self, create: bool) -> None:
        self._connection.execute("PRAGMA synchronous = FULL")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and create:
            self._create()
        elif version == 0:  # it is being made at this moment
            raise self._nothing()
        elif version != _SCHEMA_VERSION:
            raise LogDamagedError(f"{self.path} has schema version {version}; this Driftline reads {_SCHEMA_VERSION}")
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
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._connection.execute(statement)
            self._connection.execute("INSERT INTO identity VALUES (?, 0)", (uuid.uuid4().hex,))
            self._connection.execute("INSERT INTO segments VALUES (1, ?)", (time.time(),))
            seal.renew(self._connection)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def as_bytes(self) -> bytes:
        """Returns the file as it would be with all that is committed in it."""
        with translated(self.path):
            return self._connection.serialize()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, everything that is asked is of one moment."""
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

    def _rows(self, query: str, *values: str | int) -> list[tuple[str | int | float, ...]]:
        with translated(self.path):
            return self._connection.execute(query, values).fetchall()
