"""A log from a backup, in the place of the one that is there: known to be whole before anything of that one goes."""

import hashlib
import os
import re
import shutil
import tarfile
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from driftline.durable import lock_directory, make_directory, sync_directory
from driftline.errors import LogDamagedError, LogError, LogUnavailableError
from driftline.eventlog.backup import CHECKSUMS
from driftline.eventlog.damage import give_to_owner
from driftline.eventlog.parquet_files import FORMS_WITHIN_S
from driftline.eventlog.reader import LogReader
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.writer import LINK_NAME, LOCK_WITHIN_S, PARQUET, RESTORING, SEGMENTS, UNPACKED

_MEMBER = re.compile(
    rf"{re.escape(FILE_NAME)}|{SEGMENTS}/\d{{8}}\.jsonl|{PARQUET}/day=\d{{4}}-\d\d-\d\d/\d{{8}}\.parquet|{CHECKSUMS}"
)
_CHECKSUM = re.compile(r"([0-9a-f]{64})  (\S+)")
_CHUNK_BYTES = 1 << 20


class Restored(NamedTuple):
    """What a log holds that came from a backup: its id, the logs it replaces, and its lines."""

    log_id: str
    predecessors: frozenset[str]
    rows: int


def restore_backup(archive: BinaryIO, log_dir: Path) -> Restored | None:
    """Puts the log of an archive into a directory, durably; None if a worker has it.

    The archive is unpacked beside the log that is there, and every byte of it compared with its checksums; only then
    does it take that log's place. Killed before that, nothing has happened; killed while it happens, no worker starts
    on what lies there, and restoring once more is what helps. There must be room for both.

    Args:
        archive: As ``write_backup`` has written it; need not be able to seek.
        log_dir: The directory of the log; made if it is not there. The files get its owner.

    Raises:
        LogDamagedError: The archive is not a backup, not all of one, or damaged; the log that is there stays.
        LogUnavailableError: The disk refuses, or is too full; the log that is there stays, unless the message says
            that the restore was interrupted.
    """
    unpacked = log_dir / UNPACKED
    lock = forms = None
    try:
        make_directory(log_dir)
        lock = lock_directory(log_dir, within_s=LOCK_WITHIN_S)
        if lock is None:
            return None
        for folder in (log_dir / SEGMENTS, log_dir / PARQUET):
            if folder.is_symlink() or folder.is_mount():
                raise LogUnavailableError(
                    f"{folder} is a link or a disk of its own, which cannot be replaced as a whole"
                )
        make_directory(log_dir / SEGMENTS)
        forms = lock_directory(log_dir / SEGMENTS, within_s=FORMS_WITHIN_S)
        if forms is None:
            raise LogUnavailableError(f"the log in {log_dir} is being compacted; try again in a moment")
        _clear(log_dir)
        restored = _unpack(archive, unpacked)
    except OSError as error:
        raise LogUnavailableError(f"cannot restore to {log_dir}: {error.strerror or error}") from error
    else:
        _take_the_place(log_dir)
        return restored
    finally:
        try:
            if lock is not None:
                shutil.rmtree(unpacked, ignore_errors=True)
        finally:
            for held in (forms, lock):
                if held is not None:
                    os.close(held)


def _clear(log_dir: Path) -> None:
    """Makes room where an earlier attempt was killed; that it was can still be seen afterwards."""
    shutil.rmtree(log_dir / UNPACKED, ignore_errors=True)
    if (log_dir / RESTORING).exists():
        for name in (SEGMENTS, PARQUET, FILE_NAME, CHECKSUMS):
            _remove(log_dir / RESTORING / name)


def _unpack(archive: BinaryIO, folder: Path) -> Restored:
    (folder / SEGMENTS).mkdir(parents=True)
    digests: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:
            for member in members:
                content = members.extractfile(member) if member.isreg() else None
                if content is None or not _MEMBER.fullmatch(member.name) or member.name in digests:
                    raise LogDamagedError(f"the archive is not a backup of a log: it holds {member.name!r}")
                path = folder / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                digests[member.name] = _write(content, path)
    except (tarfile.TarError, EOFError) as error:
        raise LogDamagedError(f"the archive is not a backup of a log, or not all of one: {error}") from error
    _compare(digests, folder)
    try:
        with LogReader(folder) as log:
            restored = Restored(log.log_id, log.predecessors, log.rows)
    except LogUnavailableError:
        raise
    except LogError as error:
        raise LogDamagedError(f"the archive is whole, but what was backed up is not a log: {error}") from error
    give_to_owner(folder.parent, folder, *folder.rglob("*"))
    for directory in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync_directory(directory)
    return restored


def _write(content: IO[bytes], path: Path) -> str:
    """Returns the SHA-256 of what is now durably in the file."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _compare(digests: dict[str, str], folder: Path) -> None:
    """The checksums come last, so an archive that has them is all there."""
    found = digests.pop(CHECKSUMS, None)
    if found is None:
        raise LogDamagedError("the archive is not a backup of a log, or not all of one: its checksums are missing")
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    told = {match[2]: match[1] for match in map(_CHECKSUM.fullmatch, lines) if match}
    if len(told) != len(lines) or told.keys() != digests.keys() or FILE_NAME not in told:
        raise LogDamagedError("the archive is damaged: its checksums are not those of its files")
    for name, digest in digests.items():
        if digest != told[name]:
            raise LogDamagedError(f"the archive is damaged: {name} is not what was backed up")
    (folder / CHECKSUMS).unlink()


def _take_the_place(log_dir: Path) -> None:
    """Replaces one log by the other; as long as ``RESTORING`` is there, the directory is neither."""
    restoring = log_dir / RESTORING
    try:
        (log_dir / UNPACKED).rename(restoring)  # in the place of an earlier attempt's, which is empty by now
        sync_directory(log_dir)
        for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", LINK_NAME, SEGMENTS, PARQUET):
            _remove(log_dir / name)
        for name in (SEGMENTS, PARQUET, FILE_NAME):
            if (restoring / name).exists():  # there is no Parquet in a log that was never compacted
                (restoring / name).rename(log_dir / name)
        sync_directory(log_dir)
        shutil.rmtree(restoring)
        sync_directory(log_dir)
    except OSError as error:
        raise LogUnavailableError(
            f"the restore to {log_dir} was interrupted ({error.strerror or error}): run it again"
        ) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
