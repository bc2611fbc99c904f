"""What one SQLite transaction of the log records together: bytes committed, their checksum, each producer's seq."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from driftline.errors import LogUnavailableError
from driftline.eventlog import seal
from driftline.eventlog.form_record import FormRecord, Forms
from driftline.eventlog.record import Block, Commit, Gap, Tombstone
from driftline.eventlog.sqlite_errors import translated

FILE_NAME = "log.sqlite"


class LogStore(FormRecord):
    """The record of one log directory; see ``RecordFile`` for how it is opened."""

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
        with self.snapshot():
            rows = self._rows(
                "SELECT segment, start, length, first_row, lines, crc FROM blocks "
                "ORDER BY segment DESC, start DESC LIMIT 1"
            )
            last = Block(*(int(value) for value in rows[0])) if rows else None
            if last is not None and last.segment == segment:
                return last
            rows_before = max(last.first_row + last.lines if last else 0, self._compacted_rows())
            return Block(segment, 0, 0, rows_before, 0, 0)

    def created_at(self, segment: int) -> float:
        """Returns when a segment was made (Unix time)."""
        return float(self._rows("SELECT created_at FROM segments WHERE number = ?", segment)[0][0])

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
        forms: Forms,
    ) -> None:
        """Records, in a store that was just made, what a log was found to hold, and that it replaces other logs.

        Raises:
            LogUnavailableError: As :meth:`commit`; the store is to be thrown away.
        """
        with translated(self.path), self._transaction():
            self._connection.execute("DELETE FROM segments")
            if any(forms):
                self._make_compacting()
            for table, rows in (
                ("segments", segments),
                ("blocks", blocks),
                ("producers", committed.items()),
                ("gaps", gaps),
                ("tombstones", tombstones),
                ("predecessors", ((log_id,) for log_id in predecessors)),
                *(forms._asdict().items() if any(forms) else ()),
            ):
                marks = ",".join("?" * len(seal.TABLES[table].split(",")))
                self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
            self._connection.execute("DELETE FROM seal")
            seal.renew(self._connection)
