"""A copy of a log as of one moment, while it goes on being written."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import BinaryIO

from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.parquet_files import FORMS_WITHIN_S, forms_locked, path_of
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import segment_path

CHECKSUMS = "SHA256SUMS"
"""The last file in an archive, as ``sha256sum --check`` reads it: with it, an archive is whole."""


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


def write_backup(log_dir: Path, out: BinaryIO) -> None:
    """Writes a tar archive of the log: its record, each segment as far as that record speaks of it, and checksums.

    What it holds is a whole log: unpacked into an empty directory, a worker goes on from there. No segment changes its
    form, and none expires, until it is written.

    Args:
        log_dir: The directory of the log.
        out: Takes the archive; need not be able to seek.

    Raises:
        LogNotFoundError: There is no log in it.
        LogDamagedError: Its record cannot be read, or a segment is missing or shorter than what was committed to it.
        LogUnavailableError: It is being compacted for longer than a minute.
        OSError: ``out`` does not take it.
    """
    with forms_locked(log_dir, within_s=FORMS_WITHIN_S) as locked:
        if not locked:
            raise LogUnavailableError(f"the log in {log_dir} is being compacted; try again in a moment")
        store = LogStore(log_dir / FILE_NAME, at_rest=True)
        try:
            with store.snapshot():
                record, lengths, files = store.as_bytes(), store.json_lengths(), store.parquet_files()
        finally:
            store.close()
        # The record is read first: segments only ever grow, so they hold what it speaks of.
        members = [(segment_path(log_dir, number), length) for number, length in lengths.items()]
        members += [(path_of(log_dir, file), file.size_bytes) for file in files]
        with tarfile.open(fileobj=out, mode="w|") as archive:
            made = archive.gettarinfo(log_dir / FILE_NAME, arcname=FILE_NAME)
            made.size = len(record)
            archive.addfile(made, io.BytesIO(record))
            checksums = [f"{hashlib.sha256(record).hexdigest()}  {FILE_NAME}\n"]
            checksums += [_add(archive, log_dir, path, length) for path, length in members]
            made.name, content = CHECKSUMS, "".join(checksums).encode()
            made.size = len(content)
            archive.addfile(made, io.BytesIO(content))


def _add(archive: tarfile.TarFile, log_dir: Path, path: Path, length: int) -> str:
    """Adds so many bytes of a file to the archive; returns its line among the checksums."""
    try:
        with path.open("rb") as file:
            member = archive.gettarinfo(arcname=str(path.relative_to(log_dir)), fileobj=file)
            if member.size < length:
                raise LogDamagedError(f"{path} is shorter than what was committed to it")
            member.size = length
            hashed = _Hashed(file)
            archive.addfile(member, hashed)
            return f"{hashed.digest.hexdigest()}  {member.name}\n"
    except FileNotFoundError:
        raise LogDamagedError(f"{path} is missing") from None
