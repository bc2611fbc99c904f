"""What an error of SQLite means for a log: that the disk refuses just now, or that the record is damaged."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftline.errors import LogDamagedError, LogUnavailableError

REMEDY = "rebuild it from the segments with: driftline log repair"

_ROOM_BYTES = 64 << 10
"""With less than this on the disk, SQLite cannot open a file: its shared memory alone takes half of it."""

_REFUSALS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
"""Primary result codes that may go away by themselves, or when somebody makes room."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Lets no sqlite3 error out: a full or failing disk is unavailable, anything that cannot pass is damage."""
    try:
        yield
    except sqlite3.Error as error:
        if _passes(error, path):
            raise LogUnavailableError(f"{path}: {_no_space(path) or error}") from error
        raise LogDamagedError(f"{path} is damaged ({error}); {REMEDY}") from error
    except UnicodeDecodeError as error:  # the message of an error that quotes what it has found
        raise LogDamagedError(f"{path} is damaged (its schema cannot be read); {REMEDY}") from error


def _passes(error: sqlite3.Error, path: Path) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return False
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_READONLY:  # SQLite takes a file for that whose header is damaged, too
        return not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK)
    return primary in _REFUSALS


def _no_space(path: Path) -> str:
    """What SQLite leaves unsaid where a disk is full: it calls that a disk I/O error when it opens a file."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return ""
    return os.strerror(errno.ENOSPC) if disk.f_bavail * disk.f_frsize < _ROOM_BYTES else ""
