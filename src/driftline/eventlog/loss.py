"""What the segments of a log lack of what was committed to them."""

from pathlib import Path
from typing import NamedTuple

from driftline.eventlog.parquet_files import path_of
from driftline.eventlog.record import Block, Contents, ParquetFile
from driftline.eventlog.store import FILE_NAME, LogStore
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


def find_losses(log_dir: Path, contents: Contents) -> list[Loss]:
    """Returns what is lost of these contents, at the cost of a stat for each file.

    Args:
        log_dir: The directory of the log; it may be written meanwhile, since segments only grow. Where it may be
            compacted meanwhile, :func:`look` is what to call.
        contents: What was committed.

    Raises:
        OSError: A segment is there and cannot be read.
    """
    losses = []
    for segment in contents.segments():
        if segment.blocks:
            losses += _of_json(log_dir, segment.blocks)
        losses += [loss for file in segment.files for loss in _of_parquet(log_dir, file)]
    return losses


def look(log_dir: Path) -> tuple[str, Contents, list[Loss]]:
    """Returns the log's id, what is committed in it now, and what is lost of that.

    Raises:
        LogNotFoundError: There is no log in it.
        LogDamagedError: Its record is damaged.
        OSError: A segment is there and cannot be read.
    """
    while True:
        log_id, contents = committed_contents(log_dir)
        losses = find_losses(log_dir, contents)
        # A segment that has become Parquet, or expired, since the record was read is not lost.
        if not losses or committed_contents(log_dir)[1].files == contents.files:
            return log_id, contents, losses


def committed_contents(log_dir: Path) -> tuple[str, Contents]:
    """Returns the log's id, and what is committed in it now.

    Raises:
        LogNotFoundError: There is no log in it.
        LogDamagedError: Its record is damaged.
    """
    store = LogStore(log_dir / FILE_NAME, at_rest=True)
    try:
        return store.log_id(), store.contents()
    finally:
        store.close()


def _of_json(log_dir: Path, blocks: list[Block]) -> list[Loss]:
    path, last = segment_path(log_dir, blocks[0].segment), blocks[-1]
    held_bytes = _size(path)
    if held_bytes >= last.start + last.length:
        return []
    first = next(block for block in blocks if block.start + block.length > held_bytes)
    row = first.first_row + _whole_lines(path, first.start, held_bytes)
    return [Loss(path, held_bytes, last.start + last.length, row, last.first_row + last.lines - row)]


def _of_parquet(log_dir: Path, file: ParquetFile) -> list[Loss]:
    """Of a Parquet file that is not all there nothing can be read: its end says where things are."""
    path = path_of(log_dir, file)
    held_bytes = _size(path)
    if held_bytes >= file.size_bytes:
        return []
    return [Loss(path, held_bytes, file.size_bytes, file.first_row, file.lines)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _whole_lines(path: Path, start: int, stop: int) -> int:
    if start >= stop:
        return 0
    with path.open("rb") as segment:
        segment.seek(start)
        return segment.read(stop - start).count(b"\n")
