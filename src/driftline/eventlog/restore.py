"""A log from a backup, in the place of the one that is there: checked whole before anything of that one goes."""

import os
import re
import shutil
import tarfile
from pathlib import Path
from typing import BinaryIO, NamedTuple

from driftline.durable import lock_directory, make_directory, sync_directory
from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.reader import LogReader
from driftline.eventlog.store import FILE_NAME, Block
from driftline.eventlog.writer import LINK_NAME, RESTORING, SEGMENTS

_UNPACKED = ".unpacked"
_MEMBER = re.compile(rf"{re.escape(FILE_NAME)}|{SEGMENTS}/\d{{8}}\.jsonl")


class Restored(NamedTuple):
    """What a log holds that came from a backup: its id, and its lines."""

    log_id: str
    rows: int


def restore_backup(archive: BinaryIO, log_dir: Path) -> Restored | None:
    """Puts the log of an archive into a directory, durably; None if a worker has it.

    The archive is unpacked beside the log that is there, and every byte of it compared with its checksums; only then
    does it take that log's place. Killed before that, nothing has happened; killed while it happens, no worker starts
    on what lies there, and restoring once more is what helps. There must be room for both.

    Args:
        archive: As ``write_backup`` has written it; need not be able to seek.
        log_dir: The directory of the log; made if it is not there.

    Raises:
        LogDamagedError: The archive is not a backup, not all of one, or damaged; the log that is there stays.
        LogUnavailableError: The disk refuses, or is too full; the log that is there stays.
    """
    lock = None
    try:
        make_directory(log_dir)
        lock = lock_directory(log_dir)
        if lock is None:
            return None
        shutil.rmtree(log_dir / _UNPACKED, ignore_errors=True)
        restored = _unpack(archive, log_dir / _UNPACKED)
        _take_the_place(log_dir)
    except OSError as error:
        shutil.rmtree(log_dir / _UNPACKED, ignore_errors=True)
        raise LogUnavailableError(f"cannot restore to {log_dir}: {error.strerror}") from error
    except LogDamagedError:
        shutil.rmtree(log_dir / _UNPACKED, ignore_errors=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)
    return restored


def _unpack(archive: BinaryIO, folder: Path) -> Restored:
    (folder / SEGMENTS).mkdir(parents=True)
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:
            for member in members:
                if not (member.isreg() and _MEMBER.fullmatch(member.name)):
                    raise LogDamagedError(f"the archive is not a backup of a log: it holds {member.name!r}")
                members.extract(member, folder, filter="data")
                _sync_file(folder / member.name)
    except tarfile.TarError as error:
        raise LogDamagedError(f"the archive is not a backup of a log, or not all of one: {error}") from error
    if not (folder / FILE_NAME).exists():
        raise LogDamagedError("the archive is not a backup of a log: it is empty")
    damaged: list[Block] = []
    with LogReader(folder) as log:
        lines = sum(len(found) for _, found in log.identities(damaged))
        restored = Restored(log.log_id, log.rows)
    if damaged or lines != restored.rows:
        where = f", first at byte {damaged[0].start} of segment {damaged[0].segment}" if damaged else ""
        raise LogDamagedError(f"the archive is damaged: its bytes are not those that were committed{where}")
    sync_directory(folder / SEGMENTS)
    sync_directory(folder)
    return restored


def _take_the_place(log_dir: Path) -> None:
    """Replaces one log by the other; as long as ``RESTORING`` is there, the directory is neither."""
    restoring = log_dir / RESTORING
    shutil.rmtree(restoring, ignore_errors=True)  # an earlier attempt that was killed
    (log_dir / _UNPACKED).rename(restoring)
    sync_directory(log_dir)
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", LINK_NAME):
        (log_dir / name).unlink(missing_ok=True)
    if (log_dir / SEGMENTS).exists():
        shutil.rmtree(log_dir / SEGMENTS)
    for name in (SEGMENTS, FILE_NAME):
        (restoring / name).rename(log_dir / name)
    sync_directory(log_dir)
    shutil.rmtree(restoring)
    sync_directory(log_dir)


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
