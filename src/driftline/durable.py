"""File operations that a power cut cannot undo, and the lock on a directory."""

import fcntl
import os
import time
import uuid
from pathlib import Path

_LOCK_POLL_S = 0.02


def sync_directory(path: Path) -> None:
    """Makes the creations, renames and removals in a directory survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Makes a directory, and those above it that are missing, so that a power cut cannot undo it."""
    missing = [made for made in path.parents if not made.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in (path, *missing):
        sync_directory(made.parent)


def write_durably(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replaces a file in one step: a reader, or a power cut, finds the old content or the new.

    Args:
        path: The file.
        content: All of it.
        mode: Who may read and write it, at most; the umask takes its part.
    """
    # A name of its own: processes in two containers may share the directory and have the same pid.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def create_durably(path: Path, content: bytes, mode: int = 0o666) -> bool:
    """Makes a file in one step if there is none, and returns whether it did; of several at once one does.

    Args:
        path: The file.
        content: All of it.
        mode: Who may read and write it, at most; the umask takes its part.
    """
    whole = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    write_durably(whole, content, mode)
    try:
        os.link(whole, path)  # unlike a renaming, it never replaces
    except FileExistsError:
        return False
    finally:
        whole.unlink()
        sync_directory(path.parent)
    return True


def lock_directory(path: Path, within_s: float = 0.0) -> int | None:
    """Returns a descriptor that holds the directory's lock until it is closed, or None if another has it.

    Args:
        path: The directory.
        within_s: How long to try again, for who must get past others that only look.
    """
    give_up_at = time.monotonic() + within_s
    while (fd := _try_lock(path)) is None and time.monotonic() < give_up_at:
        time.sleep(_LOCK_POLL_S)
    return fd


def _try_lock(path: Path) -> int | None:
    """Locks it at once, or not.

    The path may have been removed, and made again, between the open and the lock: a lock on what is no longer there
    protects nothing, so the path must still lead to the locked inode.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    locked = False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked = leads_to(path, fd)
    except BlockingIOError:
        return None
    finally:
        if not locked:
            os.close(fd)
    return fd if locked else None


def leads_to(path: Path, fd: int) -> bool:
    """Whether a path still leads to an open file or directory; what is written to it would else be found by nobody."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def sync_content(fd: int) -> None:
    """Makes what was written to a file survive a power cut.

    Raises:
        OSError: It may not. The kernel may have dropped what it could not write: a second call would lie.
    """
    # macOS has no fdatasync
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)
