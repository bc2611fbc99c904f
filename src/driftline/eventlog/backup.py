"""A copy of a log as of one moment, while it goes on being written."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import BinaryIO

from driftline.errors import LogDamagedError
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

    What it holds is a whole log: unpacked into an empty directory, a worker goes on from there.

    Args:
        log_dir: The directory of the log.
        out: Takes the archive; need not be able to seek.

    Raises:
        LogNotFoundError: There is no log in it.
        LogDamagedError: Its record cannot be read, or a segment is missing or shorter than what was committed to it.
        OSError: ``out`` does not take it.
    """
    store = LogStore(log_dir / FILE_NAME, at_rest=True)
    try:
        with store.snapshot():
            record, lengths = store.as_bytes(), store.segment_lengths()
    finally:
        store.close()
    # The record is read first: segments only ever grow, so they hold what it speaks of.
    with tarfile.open(fileobj=out, mode="w|") as archive:
        made = archive.gettarinfo(log_dir / FILE_NAME, arcname=FILE_NAME)
        made.size = len(record)
        archive.addfile(made, io.BytesIO(record))
        checksums = [f"{hashlib.sha256(record).hexdigest()}  {FILE_NAME}\n"]
        for number, length in lengths.items():
            path = segment_path(log_dir, number)
            try:
                with path.open("rb") as segment:
                    member = archive.gettarinfo(arcname=str(path.relative_to(log_dir)), fileobj=segment)
                    if member.size < length:
                        raise LogDamagedError(f"{path} is shorter than what was committed to it")
                    member.size = length
                    hashed = _Hashed(segment)
                    archive.addfile(member, hashed)
                    checksums.append(f"{hashed.digest.hexdigest()}  {member.name}\n")
            except FileNotFoundError:
                raise LogDamagedError(f"{path} is missing") from None
        made.name, content = CHECKSUMS, "".join(checksums).encode()
        made.size = len(content)
        archive.addfile(made, io.BytesIO(content))
