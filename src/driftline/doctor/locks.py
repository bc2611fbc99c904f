"""Whether somebody has locked a directory, asked without standing in anybody's way for longer than a moment."""

import fcntl
import os
from pathlib import Path


def is_locked(directory: Path) -> bool:
    """Whether a living process has the directory.

    Who wants the lock at the very moment of the question does not get it, and tries again within a second, as for any
    other lock that is taken.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
