"""Where the Parquet files of a log lie, whether they are what was recorded, and the lock on the form of segments."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from driftline.durable import lock_directory, sync_directory
from driftline.errors import LogDamagedError, LogNotFoundError, LogUnavailableError
from driftline.eventlog.damage import QUARANTINE, Damage, give_to_owner
from driftline.eventlog.record import ParquetFile
from driftline.eventlog.writer import PARQUET, RESTORING, SEGMENTS

UNFINISHED = ".unfinished"
"""In the folder of the Parquet files while a segment is being compacted."""
FORMS_WITHIN_S = 60.0
"""What who needs the log to keep its form gives a compaction, which takes some seconds a segment."""
_CHUNK_BYTES = 1 << 20


def parquet_path(log_dir: Path, segment: int, day: str) -> Path:
    """Returns where the events of one day that stood in one segment lie."""
    return log_dir / PARQUET / f"day={day}" / f"{segment:08d}.parquet"


def days_on_disk(log_dir: Path, segment: int) -> list[str]:
    """Returns the days of which there is a file of this segment, recorded or not, in order."""
    paths = (log_dir / PARQUET).glob(f"day=*/{segment:08d}.parquet")
    return sorted(path.parent.name.removeprefix("day=") for path in paths)


def path_of(log_dir: Path, file: ParquetFile) -> Path:
    """Returns where a file lies."""
    return parquet_path(log_dir, file.segment, file.day)


def checksum_of(path: Path) -> tuple[int, int]:
    """Returns the bytes of a file, how many and their CRC-32, in constant memory.

    Raises:
        OSError: It cannot be read.
    """
    size_bytes = crc = 0
    for chunk in chunks(path):
        size_bytes += len(chunk)
        crc = zlib.crc32(chunk, crc)
    return size_bytes, crc


def chunks(path: Path) -> Iterator[bytes]:
    """Yields a file's bytes, a MiB at a time."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def is_intact(log_dir: Path, file: ParquetFile) -> bool:
    """Whether a file is, to the byte, what was recorded.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    return checksum_of(path_of(log_dir, file)) == (file.size_bytes, file.crc)


def damage_of(file: ParquetFile, lines: int) -> Damage:
    """Returns the damage of a file of which this many lines cannot be had any more."""
    return Damage(file.segment, 0, file.size_bytes, lines, file.day)


def set_file_aside(log_dir: Path, file: ParquetFile) -> Path | None:
    """Copies a damaged file to quarantine, and returns where it is; None if it was there already.

    Its name counts all of its lines: which of them are good takes DuckDB to say.

    Raises:
        OSError: The file system refuses.
    """
    aside = log_dir / QUARANTINE / f"{file.segment:08d}-{file.day}-{file.lines}.parquet"
    if aside.exists():
        return None
    aside.parent.mkdir(exist_ok=True)
    unfinished = aside.with_name(f".{aside.name}")
    with unfinished.open("wb") as copy:
        for chunk in chunks(path_of(log_dir, file)):
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    unfinished.rename(aside)
    sync_directory(aside.parent)
    sync_directory(log_dir)
    give_to_owner(log_dir, aside.parent, aside)
    return aside


@contextmanager
def forms_locked(log_dir: Path, within_s: float = 0.0) -> Iterator[bool]:
    """Within it, nobody else changes the form of a segment or deletes one; False if somebody else is at it.

    The lock is on the folder of segments: the worker, which only appends, has the one on the log's own.

    Raises:
        LogNotFoundError: There are no segments.
        LogDamagedError: A restore was interrupted.
        LogUnavailableError: The directory cannot be read.
    """
    nothing = LogNotFoundError(f"there is no log in {log_dir}; nothing has been committed there yet")
    if not (log_dir / SEGMENTS).is_dir():  # which is nothing to wait for
        raise nothing
    try:
        fd = lock_directory(log_dir / SEGMENTS, within_s)
    except OSError as error:
        raise LogUnavailableError(f"cannot use {log_dir / SEGMENTS}: {error.strerror}") from error
    if fd is None and not (log_dir / SEGMENTS).is_dir():
        raise nothing
    try:
        if fd is not None and (log_dir / RESTORING).exists():
            raise LogDamagedError(f"a restore of {log_dir} was interrupted: run it again (driftline log restore)")
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def remove_empty(directory: Path) -> None:
    """Removes a day's folder when nothing is left in it."""
    with suppress(OSError):
        directory.rmdir()
