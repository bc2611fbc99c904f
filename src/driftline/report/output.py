"""Writes what a report leaves behind."""

from pathlib import Path

from driftline.durable import write_durably
from driftline.errors import ReportError


def write_output(path: Path, content: str) -> None:
    """Writes a file in one step: whoever opens it finds the old content or the new, never a part.

    Raises:
        ReportError: It cannot be written, or there is something else than a file.
    """
    path = path.resolve()  # a link stays one; what it leads to is replaced
    if path.exists() and not path.is_file():
        raise ReportError(f"cannot write {path}: it is not a file")
    try:
        write_durably(path, content.encode())
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}") from error
