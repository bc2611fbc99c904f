"""Small file systems of our own, which are full when a fault says so."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from driftline.errors import ChaosError

_SLACK_BYTES: Final = 24 << 10
_TRIES: Final = 10
_ROOM_BYTES: Final = 256 << 20
_BYTES_PER_REQUEST: Final = 1024


def room_for(requests: float) -> int:
    """Returns how many bytes a log of so many requests may take on a disk, with a good deal to spare."""
    return _ROOM_BYTES + int(requests) * _BYTES_PER_REQUEST


class SmallDisk:
    """A tmpfs, mounted on a directory that is made for it. Wants root on Linux.

    Args:
        path: The directory.
        size_bytes: How much it holds; memory is only taken for what is on it.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self._size_bytes = size_bytes
        self._fills = 0

    def mount(self) -> None:
        """Mounts it.

        Raises:
            ChaosError: The system refuses.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._run("mount", "-t", "tmpfs", "-o", f"size={self._size_bytes},mode=700", "tmpfs", str(self.path))

    def fill(self) -> int:
        """Leaves almost no room, until :meth:`free`; returns the bytes that are on it. Fills add up.

        Raises:
            ChaosError: It grows faster than it can be made smaller; it is as it was.
        """
        for _ in range(_TRIES - 1):
            with suppress(ChaosError):
                return self._fill()
        return self._fill()

    def _fill(self) -> int:
        disk = os.statvfs(self.path)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        # Refused if more than that is on it by then.
        self._resize(used + _SLACK_BYTES)
        self._fills += 1
        return used

    def free(self) -> None:
        """Takes back one :meth:`fill`."""
        self._fills -= 1
        if not self._fills:
            self._resize(self._size_bytes)

    def unmount(self, *, keep: bool) -> None:
        """Unmounts it and removes the directory, or leaves there what was on it. Fine to call twice."""
        if not os.path.ismount(self.path):
            return
        kept = self.path.with_name(f"{self.path.name}.kept")
        if keep:
            shutil.copytree(self.path, kept, symlinks=True)
        self._run("umount", "--lazy", str(self.path))
        self.path.rmdir()
        if keep:
            kept.rename(self.path)

    def _resize(self, size_bytes: int) -> None:
        self._run("mount", "-o", f"remount,size={size_bytes}", str(self.path))

    def _run(self, *command: str) -> None:
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 (fixed words)
        except (OSError, subprocess.SubprocessError) as error:
            said = error.stderr if isinstance(error, subprocess.CalledProcessError) else error
            raise ChaosError(f"{' '.join(command)}: {said}") from error


def why_not_mount(folder: Path) -> str | None:
    """Returns why no file system can be mounted here, or None if one can: by doing it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "mounting wants root on Linux"
    disk = SmallDisk(folder / "mount-probe", 1 << 20)
    try:
        disk.mount()
        disk.fill()
        disk.unmount(keep=False)
    except ChaosError as error:
        return error.message.strip()
    return None
