"""What the record of a log is made of: its rows, and what one commit changes of them."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

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
