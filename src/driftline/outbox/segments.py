"""The segment files of one outbox directory: their names, what they hold, which may go."""

import os
import re
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from driftline.durable import sync_directory
from driftline.outbox.root import OutboxRoot

_NAME = re.compile(r"([0-9]{20})\.seg")


def segment_name(first_seq: int) -> str:
    """Returns the file name of the segment whose first event has this seq; names sort like seqs."""
    return f"{first_seq:020d}.seg"


def segment_firsts(directory: Path) -> list[int]:
    """Returns the first seq of each segment, ascending; empty if the directory is gone."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(match[1]) for match in map(_NAME.fullmatch, names) if match)


def held_bytes(directory: Path) -> int:
    """Returns the bytes of all segments of a directory."""
    total = 0
    for first in segment_firsts(directory):
        with suppress(FileNotFoundError):
            total += (directory / segment_name(first)).stat().st_size
    return total


def release(directory: Path, committed: int) -> int:
    """Deletes the segments that are wholly committed, except the last one, and returns the bytes that became free.

    A segment ends where the next one begins, so what is in it need not be read.

    Args:
        directory: An outbox directory that the caller owns.
        committed: Every event below this seq is durably in the log.
    """
    freed = 0
    firsts = segment_firsts(directory)
    for first, following in pairwise(firsts):
        if following > committed:
            break
        path = directory / segment_name(first)
        freed += path.stat().st_size
        path.unlink()
    return freed


def remove_drained(root: OutboxRoot, producer: str, final_seq: int) -> None:
    """Removes the directory of a producer whose every event is in the log; the ledger keeps how many there were.

    A file in it that is not ours, such as a file manager's, goes with it to the quarantine.
    """
    root.record_closed(producer, final_seq)
    directory = root.path / producer
    for first in segment_firsts(directory):
        (directory / segment_name(first)).unlink()
    if os.listdir(directory):
        root.quarantine_directory(producer)
    else:
        directory.rmdir()
    sync_directory(root.path)
