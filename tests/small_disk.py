"""A disk that is really full when a test says so."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["tmpfs", "limit"]
KINDS: tuple[Kind, ...] = ("tmpfs", "limit")

CAPTURE_BYTES = 64 << 10
"""What pytest may need for a test's output: its capture is a file too, and a limit on files is one on all files."""


_PAGE_BYTES = 4096


class SmallDisk(Protocol):
    """A directory on a disk that can be filled.

    Attributes:
        path: The directory.
    """

    path: Path

    def fill(self) -> None:
        """Lets no file that is there grow by more than a page; one of them must hold 64 KiB at least."""

    def leave(self, pages: int) -> None:
        """Gives room for so many pages of 4 KiB again, on a disk that is full."""

    def free(self) -> None:
        """Gives room again. Fine to call twice."""


class Tmpfs:
    """A file system of its own, filled with a file. Only root can have it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(b"\0" * _PAGE_BYTES):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def leave(self, pages: int) -> None:
        os.truncate(self._filler, max(0, self._filler.stat().st_size - pages * _PAGE_BYTES))

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)


class Limited:
    """The limit that the system sets to the files of this process: for whoever may not mount."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        largest = max(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
        assert largest >= CAPTURE_BYTES, "the limit would hit the test's own output"
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100, self._usual[1]))

    def leave(self, pages: int) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit + pages * _PAGE_BYTES, self._usual[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._usual)


@contextmanager
def small_disk(directory: Path, kind: Kind, size_mib: int = 2) -> Iterator[SmallDisk]:
    """Gives a disk of the kind; where mounting is not allowed, the other one, for some real fault there must be."""
    directory.mkdir()
    mounted = kind == "tmpfs" and _mount(directory, size_mib)
    disk: SmallDisk = Tmpfs(directory) if mounted else Limited(directory)
    try:
        yield disk
    finally:
        disk.free()
        if mounted:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)


def _mount(directory: Path, size_mib: int) -> bool:
    if os.geteuid() != 0 or sys.platform != "linux":
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(directory)]
    with suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False
