"""What one SQLite transaction of the log records together: bytes committed, their checksum, each producer's seq."""

import os
import sqlite3
import time
import uuid
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from driftline.errors import LogDamagedError, LogNotFoundError, LogUnavailableError
from driftline.eventlog import seal
from driftline.eventlog.sqlite_errors import REMEDY, translated

FILE_NAME = "log.sqlite"
BLOCK_BYTES = 1 << 20
"""A block that has reached this is followed by a new one; it is what a checksum covers and where a seek lands."""

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


class Gap(NamedTuple):
    """Events that the log had to go on without, since no outbox held them any more: ``first_seq <= seq < stop_seq``."""

    producer: str
    first_seq: int
    stop_seq: int


class Tombstone(NamedTuple):
    """An event that was damaged in its outbox; its bytes are in quarantine there."""

    producer: str
    seq: int


class Block(NamedTuple):
    """A stretch of a segment that one checksum covers.

    Attributes:
        segment: The segment's number, from 1.
        start: Offset in it, bytes.
        length: Bytes.
        first_row: Committed lines before it, in the whole log.
        lines: Lines in it.
        crc: CRC-32 of its bytes.
    """

    segment: int
    start: int
    length: int
    first_row: int
    lines: int
    crc: int

    def extended(self, payload: bytes, lines: int) -> Self:
        """Returns the block with more bytes behind its own."""
        return self._replace(
            length=self.length + len(payload), lines=self.lines + lines, crc=zlib.crc32(payload, self.crc)
        )


@dataclass(frozen=True)
class Commit:
    """What is to be recorded in one transaction.

    Attributes:
        block: The last block as it is with the new bytes.
        committed: The next seq to expect, for each producer that has moved.
        gaps: Events that will not come any more.
        tombstones: Events that came damaged.
    """

    block: Block
    committed: Mapping[str, int]
    gaps: Iterable[Gap] = ()
    tombstones: Iterable[Tombstone] = ()


class LogStore:
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

    def _rows(self, query: str, *values: str | int) -> list[tuple[str | int | float, ...]]:
        with translated(self.path):
            return self._connection.execute(query, values).fetchall()

    # -- what is recorded

    def log_id(self) -> str:
        """Returns the id of this log, drawn when it was made."""
        return str(self._rows("SELECT log_id FROM identity")[0][0])

    def predecessors(self) -> frozenset[str]:
        """Returns the ids of the logs that this one replaces."""
        return frozenset(str(row[0]) for row in self._rows("SELECT log_id FROM predecessors"))

    def committed(self) -> dict[str, int]:
        """Returns, for each producer, the next seq to expect: everything below it is durably in the log."""
        return {str(row[0]): int(row[1]) for row in self._rows("SELECT producer, committed FROM producers")}

    def committed_of(self, producers: Collection[str]) -> dict[str, int]:
        """Returns the same for some producers; one that the log has never heard of is missing."""
        marks = ",".join("?" * len(producers))
        query = f"SELECT producer, committed FROM producers WHERE producer IN ({marks})"  # noqa: S608 (only marks)
        return {str(row[0]): int(row[1]) for row in self._rows(query, *producers)}

    def gaps(self) -> list[Gap]:
        """Returns the gaps in the order they were met."""
        rows = self._rows("SELECT producer, first_seq, stop_seq FROM gaps ORDER BY rowid")
        return [Gap(str(row[0]), int(row[1]), int(row[2])) for row in rows]

    def tombstones(self) -> list[Tombstone]:
        """Returns the events that came damaged."""
        return [Tombstone(str(row[0]), int(row[1])) for row in self._rows("SELECT producer, seq FROM tombstones")]

    def active_segment(self) -> tuple[int, float]:
        """Returns the number of the segment that is appended to, and when it was made (Unix time)."""
        row = self._rows("SELECT number, created_at FROM segments ORDER BY number DESC LIMIT 1")[0]
        return int(row[0]), float(row[1])

    def last_block(self, segment: int) -> Block:
        """Returns the last block of the log, or an empty one at the beginning of a segment that has none."""
        rows = self._rows(
            "SELECT segment, start, length, first_row, lines, crc FROM blocks ORDER BY segment DESC, start DESC LIMIT 1"
        )
        last = Block(*(int(value) for value in rows[0])) if rows else Block(segment, 0, 0, 0, 0, 0)
        return last if last.segment == segment else Block(segment, 0, 0, last.first_row + last.lines, 0, 0)

    def blocks(self, from_row: int = 0) -> list[Block]:
        """Returns the blocks in order, beginning with the one that holds this row."""
        rows = self._rows(
            "SELECT segment, start, length, first_row, lines, crc FROM blocks WHERE first_row + lines > ? "
            "ORDER BY segment, start",
            from_row,
        )
        return [Block(*(int(value) for value in row)) for row in rows]

    def segment_lengths(self) -> dict[int, int]:
        """Returns, for each segment, in order, the bytes that are committed to it."""
        rows = self._rows(
            "SELECT number, COALESCE(MAX(start + length), 0) FROM segments LEFT JOIN blocks ON segment = number "
            "GROUP BY number ORDER BY number"
        )
        return {int(row[0]): int(row[1]) for row in rows}

    def as_bytes(self) -> bytes:
        """Returns the file as it would be with all that is committed in it."""
        with translated(self.path):
            return self._connection.serialize()

    # -- recording

    def commit(self, commit: Commit) -> None:
        """Records what has been appended and synced, all of it or nothing, durably.

        Raises:
            LogUnavailableError: It may or may not have been recorded; what is recorded must be read again.
        """
        with translated(self.path), self._transaction():
            key = (commit.block.segment, commit.block.start)
            change = self._put("blocks", "segment = ? AND start = ?", [(key, commit.block)])
            change += self._put("producers", "producer = ?", [(row[:1], row) for row in commit.committed.items()])
            change += self._put("gaps", "FALSE", [((), gap) for gap in commit.gaps])
            change += self._put("tombstones", "producer = ? AND seq = ?", [(it, it) for it in commit.tombstones])
            seal.follow(self._connection, change)

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

    def sync_record(self) -> None:
        """Makes what can be read now survive a power cut, before anything is deleted on the strength of it.

        A writer that was killed between writing a commit and syncing it leaves one that can be read and may still go.
        The database file itself is not opened for this: closing it again would take SQLite's own locks away.

        Raises:
            LogUnavailableError: The disk refuses.
        """
        self.log_id()  # the first read, which recovers what is in the write-ahead log
        with translated(self.path), suppress(FileNotFoundError):
            fd = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            except OSError as error:
                raise LogUnavailableError(f"{self.path}-wal cannot be synced: {error.strerror}") from error
            finally:
                os.close(fd)

    def settle(self) -> None:
        """Makes what can be read now the last word, before anything that it does not speak of is cut away.

        A commit that was interrupted may lie whole in the write-ahead log, unseen as long as somebody has the file
        open, and come to life at the recovery after that. Any commit is written over it.

        Raises:
            LogUnavailableError: As :meth:`commit`.
        """
        with translated(self.path), self._transaction():
            seal.renew(self._connection)
            self._connection.execute("UPDATE identity SET openings = openings + 1")
            self._connection.execute("UPDATE seal SET openings = openings + 1")

    def start_segment(self, number: int, created_at: float) -> None:
        """Records that a new segment is appended to from now on; its file must exist durably.

        Raises:
            LogUnavailableError: As :meth:`commit`.
        """
        with translated(self.path), self._transaction():
            seal.follow(self._connection, self._put("segments", "number = ?", [((number,), (number, created_at))]))

    def add_predecessor(self, log_id: str) -> None:
        """Records that this log replaces another, so that outboxes which obeyed that one obey this."""
        with translated(self.path), self._transaction():
            seal.follow(self._connection, self._put("predecessors", "log_id = ?", [((log_id,), (log_id,))]))

    def fill(
        self,
        *,
        segments: Sequence[tuple[int, float]],
        blocks: Iterable[Block],
        committed: Mapping[str, int],
        gaps: Iterable[Gap],
        tombstones: Iterable[Tombstone],
        predecessors: Iterable[str],
    ) -> None:
        """Records, in a store that was just made, what a log was found to hold, and that it replaces other logs.

        Raises:
            LogUnavailableError: As :meth:`commit`; the store is to be thrown away.
        """
        with translated(self.path), self._transaction():
            self._connection.execute("DELETE FROM segments")
            for table, rows in (
                ("segments", segments),
                ("blocks", blocks),
                ("producers", committed.items()),
                ("gaps", gaps),
                ("tombstones", tombstones),
                ("predecessors", ((log_id,) for log_id in predecessors)),
            ):
                marks = ",".join("?" * len(seal.TABLES[table].split(",")))
                self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
            self._connection.execute("DELETE FROM seal")
            seal.renew(self._connection)

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
