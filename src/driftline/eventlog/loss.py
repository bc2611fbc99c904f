"""What the segments of a log lack of what was committed to them."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from driftline.eventlog.record import Block
from driftline.eventlog.writer import segment_path


class Loss(NamedTuple):
    """A segment that ends before what was committed to it does, or is not there.

    Attributes:
        path: The segment.
        held_bytes: Bytes that it has.
        committed_bytes: Bytes that were committed to it.
        first_row: The first committed row that it lacks.
        lines: How many it lacks; one that is there in part is among them.
    """

    path: Path
    held_bytes: int
    committed_bytes: int
    first_row: int
    lines: int

    @property
    def lost_bytes(self) -> int:
        """Bytes that were committed and are not there."""
        return self.committed_bytes - self.held_bytes

    def __str__(self) -> str:
        what = f"{self.lost_bytes:,} of the {self.committed_bytes:,} bytes" if self.held_bytes else "all of the bytes"
        lines = "1 line" if self.lines == 1 else f"{self.lines:,} lines"
        return f"{self.path} lacks {what} that were committed to it: {lines}, from row {self.first_row:,} on"


def find_losses(log_dir: Path, blocks: Iterable[Block]) -> list[Loss]:
    """Returns what is lost of these blocks, at the cost of a stat for each segment.

    Args:
        log_dir: The directory of the log; it may be written meanwhile, since segments only grow.
        blocks: What was committed, in order.

    Raises:
        OSError: A segment is there and cannot be read.
    """
    losses = []
    for number, group in itertools.groupby(blocks, lambda block: block.segment):
        path, committed = segment_path(log_dir, number), list(group)
        last = committed[-1]
        held_bytes = path.stat().st_size if path.exists() else 0
        if held_bytes >= last.start + last.length:
            continue
        first = next(block for block in committed if block.start + block.length > held_bytes)
        row = first.first_row + _whole_lines(path, first.start, held_bytes)
        losses.append(Loss(path, held_bytes, last.start + last.length, row, last.first_row + last.lines - row))
    return losses


def _whole_lines(path: Path, start: int, stop: int) -> int:
    if start >= stop:
        return 0
    with path.open("rb") as segment:
        segment.seek(start)
        return segment.read(stop - start).count(b"\n")
