"""File operations that a power cut cannot undo, and the lock on a directory."""

import fcntl
import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Makes the creations, renames and removals in a directory survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, content: bytes) -> None:
    """Replaces a file in one step: a reader, or a power cut, finds the old content or the new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def lock_directory(path: Path) -> int | None:
    """Returns a descriptor that holds the directory's lock until it is closed, or None if another has it.

    The path may have been removed, and made again, between the open and the lock: a lock on what is no longer there
    protects nothing, so the path must still lead to the locked inode.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), path.stat()):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None


def sync_content(fd: int) -> None:
    """Makes what was written to a file survive a power cut.

    Raises:
        OSError: It may not. The kernel may have dropped what it could not write: a second call would lie.
    """
    # macOS has no fdatasync
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)
