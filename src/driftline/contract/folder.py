"""A folder of model packages: where they are, and whether one of them has changed."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from driftline.contract.package import FILE_NAME, REFERENCE_FILE, Package
from driftline.errors import ModelError

Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, inode, time of change and size of each file; what is equal has not been written to."""

_DEPTHS: Final = ("*", "*/*")


def is_package(folder: Path) -> bool:
    """Whether a folder is a package itself."""
    return (folder / FILE_NAME).exists()


def find_packages(folder: Path) -> list[Path]:
    """Returns the directories of all packages: the folder's own, or those of ``NAME`` and ``NAME/VERSION`` in it.

    Raises:
        ModelError: There is none.
    """
    if is_package(folder):
        return [folder]
    found = [
        file.parent
        for depth in _DEPTHS
        for file in folder.glob(f"{depth}/{FILE_NAME}")
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not found:
        raise ModelError(
            f"{folder} holds no model: neither {FILE_NAME}, nor a folder NAME or NAME/VERSION that has one"
        )
    return sorted(found)


def stamp_of(directory: Path) -> Stamp:
    """Returns the stamp of a package; a file that comes or goes while it is read makes another one."""
    return tuple(stamp for file in _files(directory) for stamp in file_stamp(file))


def file_stamp(file: Path) -> Stamp:
    """Returns the stamp of one file, which is empty if it is not there."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return ((str(file), status.st_ino, status.st_mtime_ns, status.st_size),)


def digest_of(package: Package) -> bytes:
    """Returns the digest of all that decides how a package scores: not of its sample, nor of what is made of that.

    Raises:
        ModelError: A file cannot be read.
    """
    beside = {package.sample, package.expected, package.path / REFERENCE_FILE}
    digest = sha256()
    for file in _files(package.path):
        if file not in beside:
            try:
                content = sha256(file.read_bytes()).digest()
            except OSError as error:
                raise ModelError(f"cannot read {file}: {error.strerror}") from error
            digest.update(sha256(str(file.relative_to(package.path)).encode()).digest() + content)
    return digest.digest()


def _files(directory: Path) -> Iterator[Path]:
    """All files of a package in their order, but for hidden ones and what Python compiles."""
    for where, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith(".") and name != "__pycache__")
        for file in sorted(files):
            if not file.startswith("."):
                yield Path(where, file)
