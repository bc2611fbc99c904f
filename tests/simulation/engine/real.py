"""The functions of the operating system as they are, whatever stands in their place."""

import io
import os
import sqlite3
from types import SimpleNamespace

REAL = SimpleNamespace(**{name: getattr(os, name) for name in dir(os)}, io_open=io.open, connect=sqlite3.connect)


def write_file(path: str, content: bytes) -> None:
    """Makes a file."""
    with REAL.io_open(path, "wb") as file:
        file.write(content)


def empty(directory: str) -> None:
    """Removes all that is in a directory."""
    for entry in list(REAL.scandir(directory)):
        if entry.is_dir(follow_symlinks=False):
            empty(entry.path)
            REAL.rmdir(entry.path)
        else:
            REAL.unlink(entry.path)
