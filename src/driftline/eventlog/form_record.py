"""What the record of a log says of the form of its segments: which of them are Parquet, and what has expired."""

from collections.abc import Iterable
from typing import NamedTuple

from driftline.eventlog import seal
from driftline.eventlog.record import Block, Contents, Expired, ParquetFile
from driftline.eventlog.record_file import RecordFile
from driftline.eventlog.sqlite_errors import translated


class Compacted(NamedTuple):
    """A segment that was compacted; known for as long as the log is, so that row numbers never change.

    Attributes:
        segment: Its number, from 1.
        first_row: Committed lines before it, in the whole log.
        lines: Lines in it, expired or not.
    """

    segment: int
    first_row: int
    lines: int


class Forms(NamedTuple):
    """All that a record says of compacted segments, by table."""

    compacted: list[Compacted]
    parquet: list[ParquetFile]
    expired: list[Expired]


class FormRecord(RecordFile):
    """The part of a log's record that speaks of the form of segments.

    Of a segment the record has either blocks, which are of its JSON lines, or Parquet files. One transaction changes
    the one into the other; whatever files there are, those that the record speaks of are the log.
    """

    def contents(self, from_row: int = 0) -> Contents:
        """Returns what the log holds of the rows from this one on, at one moment."""
        with self.snapshot():
            return Contents(self.blocks(from_row), self.parquet_files(from_row))

    def size_bytes(self) -> int:
        """Returns how many bytes the log takes on disk, in either form."""
        with self.snapshot():
            total = int(self._rows("SELECT COALESCE(SUM(length), 0) FROM blocks")[0][0])
            if self._compacts():
                total += int(self._rows("SELECT COALESCE(SUM(size_bytes), 0) FROM parquet")[0][0])
            return total

    def blocks_of(self, segment: int) -> list[Block]:
        """Returns the blocks of one segment, in order; none if it is Parquet."""
        rows = self._rows(
            "SELECT segment, start, length, first_row, lines, crc FROM blocks WHERE segment = ? ORDER BY start", segment
        )
        return [Block(*(int(value) for value in row)) for row in rows]

    def blocks(self, from_row: int = 0) -> list[Block]:
        """Returns the blocks of segments that are still JSON, in order, beginning with the one that holds this row."""
        rows = self._rows(
            "SELECT segment, start, length, first_row, lines, crc FROM blocks WHERE first_row + lines > ? "
            "ORDER BY segment, start",
            from_row,
        )
        return [Block(*(int(value) for value in row)) for row in rows]

    def parquet_files(self, from_row: int = 0) -> list[ParquetFile]:
        """Returns the Parquet files with rows from this one on, by segment and day."""
        if not self._compacts():
            return []
        rows = self._rows(
            "SELECT segment, day, first_row, stop_row, lines, size_bytes, crc FROM parquet WHERE stop_row > ? "
            "ORDER BY segment, day",
            from_row,
        )
        return [ParquetFile(int(row[0]), str(row[1]), *(int(value) for value in row[2:])) for row in rows]

    def json_lengths(self) -> dict[int, int]:
        """Returns, for each segment that is still JSON, in order, the bytes that are committed to it."""
        with self.snapshot():
            rows = self._rows(
                "SELECT number, COALESCE(MAX(start + length), 0) FROM segments LEFT JOIN blocks ON segment = number "
                "GROUP BY number ORDER BY number"
            )
            compacted = self.compacted()
        return {int(row[0]): int(row[1]) for row in rows if int(row[0]) not in compacted}

    def compacted(self) -> dict[int, Compacted]:
        """Returns the segments that were compacted, by number."""
        if not self._compacts():
            return {}
        rows = self._rows("SELECT segment, first_row, lines FROM compacted ORDER BY segment")
        return {int(row[0]): Compacted(*(int(value) for value in row)) for row in rows}

    def expired(self) -> list[Expired]:
        """Returns the events that retention has deleted."""
        if not self._compacts():
            return []
        rows = self._rows("SELECT producer, first_seq, stop_seq FROM expired ORDER BY producer, first_seq")
        return [Expired(str(row[0]), int(row[1]), int(row[2])) for row in rows]

    def _compacted_rows(self) -> int:
        """The row behind the last one that was compacted."""
        if not self._compacts():
            return 0
        return int(self._rows("SELECT COALESCE(MAX(first_row + lines), 0) FROM compacted")[0][0])

    def record_compaction(self, compacted: Compacted, files: Iterable[ParquetFile]) -> None:
        """Records, durably, that a segment is Parquet from now on; its files must be there durably, and be proven.

        Raises:
            LogUnavailableError: It may or may not have been recorded.
        """
        with translated(self.path), self._transaction():
            self._make_compacting()
            change = self._remove("blocks", "segment = ?", [(compacted.segment,)])
            change += self._put("compacted", "segment = ?", [(compacted[:1], compacted)])
            change += self._put("parquet", "segment = ? AND day = ?", [(file[:2], file) for file in files])
            seal.follow(self._connection, change)

    def record_expiry(self, files: Iterable[ParquetFile], expired: Iterable[Expired]) -> None:
        """Records, durably, that files are no part of the log any more, and which events all those that are not were.

        Args:
            files: Those that may be deleted after this.
            expired: The whole of what the log has ever deleted.

        Raises:
            LogUnavailableError: It may or may not have been recorded; nothing may be deleted.
        """
        with translated(self.path), self._transaction():
            change = self._remove("parquet", "segment = ? AND day = ?", [file[:2] for file in files])
            change += self._remove("expired", "TRUE", [()])
            change += self._put("expired", "FALSE", [((), stretch) for stretch in expired])
            seal.follow(self._connection, change)
