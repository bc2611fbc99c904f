"""What the record of a log is made of: its rows, and what one commit changes of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from zlib_ng import zlib_ng

Lines = list[tuple[int, bytes]]
"""Rows and lines, in order."""

BLOCK_BYTES = 1 << 20
"""A block that has reached this is followed by a new one; it is what a checksum covers and where a seek lands."""


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
            length=self.length + len(payload), lines=self.lines + lines, crc=zlib_ng.crc32(payload, self.crc)
        )


class Expired(NamedTuple):
    """Events that retention has deleted: ``first_seq <= seq < stop_seq``."""

    producer: str
    first_seq: int
    stop_seq: int


class ParquetFile(NamedTuple):
    """The events of one day that stood in one segment, now in a file of their own.

    Attributes:
        segment: The segment's number, from 1.
        day: The UTC day of their timestamps, ``2026-11-25``.
        first_row: The row of its first line.
        stop_row: The row behind its last line; rows between may be in the files of other days.
        lines: Lines in it.
        size_bytes: Bytes of the file.
        crc: CRC-32 of the file.
    """

    segment: int
    day: str
    first_row: int
    stop_row: int
    lines: int
    size_bytes: int
    crc: int


class Contents(NamedTuple):
    """What the log holds at one moment, and in which form.

    Attributes:
        blocks: Of the segments that are still JSON, in order.
        files: Of those that are Parquet, by segment and day; those that retention has deleted are not among them.
    """

    blocks: list[Block]
    files: list[ParquetFile]

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes on disk."""
        return sum(block.length for block in self.blocks) + sum(file.size_bytes for file in self.files)

    def segments(self) -> list["Segment"]:
        """Returns it by segment, in order."""
        blocks: dict[int, list[Block]] = {}
        files: dict[int, list[ParquetFile]] = {}
        for block in self.blocks:
            blocks.setdefault(block.segment, []).append(block)
        for file in self.files:
            files.setdefault(file.segment, []).append(file)
        numbers = sorted({*blocks, *files})
        return [Segment(number, blocks.get(number, []), files.get(number, [])) for number in numbers]


class Segment(NamedTuple):
    """What one segment holds: blocks of JSON lines, or Parquet files."""

    number: int
    blocks: list[Block]
    files: list[ParquetFile]

    @property
    def first_row(self) -> int:
        """The first row that is there."""
        return min([block.first_row for block in self.blocks] + [file.first_row for file in self.files])


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
