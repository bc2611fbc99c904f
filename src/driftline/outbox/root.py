"""The directory that holds all outboxes of one machine, and what they have in common.

outbox/
  <producer>/<first seq>.seg    one directory for each life of an API process
  log-id                        the one log these outboxes obey
  closed                        a line "producer final-seq" for each directory that was drained and removed
  quarantine/                   bytes that could not be read as records
"""

import errno
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from driftline.durable import lock_directory, make_directory, sync_directory, write_durably
from driftline.errors import OutboxUnavailableError

log = structlog.get_logger()

_PRODUCER = re.compile(r"[0-9a-f]{32}")
_UNBORN = ".new-"
_UNBORN_S = 60.0
"""Making a directory takes a moment; what is older than this was left behind."""


class OutboxRoot:
    """All outboxes of one machine.

    Args:
        path: The directory; nothing is read or made before a method is called.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Makes the directory, durably.

        Raises:
            OutboxUnavailableError: The file system refuses.
        """
        try:
            make_directory(self.path)
        except OSError as error:
            raise OutboxUnavailableError(f"cannot make {self.path}: {error.strerror}") from error

    def producers(self) -> list[str]:
        """Returns the producer ids that have a directory, in no order that means anything."""
        try:
            return [name for name in os.listdir(self.path) if _PRODUCER.fullmatch(name)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create_producer(self, producer: str, first_segment: str) -> tuple[int, int]:
        """Makes a producer's directory with an empty first segment, owned by the caller from its first instant.

        It is built and locked under another name, so that nobody can take it for an orphan before it is locked.

        Returns:
            The descriptor that holds the lock, and that of the segment, open for appending.

        Raises:
            OSError: The file system refuses.
        """
        unborn = self.path / f"{_UNBORN}{producer}"
        unborn.mkdir()
        lock = lock_directory(unborn)
        if lock is None:
            raise BlockingIOError(errno.EAGAIN, "taken by another process", str(unborn))
        segment = None
        try:
            segment = open_segment(unborn / first_segment)
            unborn.rename(self.path / producer)
            sync_directory(self.path)
        except OSError:
            if segment is not None:
                os.close(segment)
            os.close(lock)
            raise
        return lock, segment

    def clear_unborn(self) -> None:
        """Removes directories whose process died before they got their name: they never held an event."""
        for path in self.path.glob(f"{_UNBORN}*"):
            with suppress(FileNotFoundError):  # it has just got its name
                if time.time() - path.stat().st_mtime < _UNBORN_S:
                    continue
            lock = lock_directory(path)
            if lock is None:
                continue
            with suppress(OSError):
                for file in path.iterdir():
                    file.unlink()
                path.rmdir()
            os.close(lock)

    # -- the log that is obeyed

    def log_id(self) -> str | None:
        """Returns the id of the log that may have these outboxes' events deleted, or None before the first contact."""
        try:
            return (self.path / "log-id").read_text().strip() or None
        except FileNotFoundError:
            return None

    def log_id_durably(self, known: str | None) -> str | None:
        """Returns the same; an id other than the one known is made durable first.

        Whoever wrote it may have died before its fsync, and a power cut would take away what others already act on.

        Args:
            known: What this method returned before.
        """
        log_id = self.log_id()
        if log_id not in {None, known}:
            sync_directory(self.path)
        return log_id

    def obey(self, log_id: str) -> str:
        """Obeys a log if none is obeyed yet; when several processes do this at once, the first one wins.

        Returns:
            The log that is obeyed now.

        Raises:
            OSError: The file system refuses, or the file is there and empty.
        """
        final = self.path / "log-id"
        temporary = self.path / f".log-id.{uuid.uuid4().hex}"
        write_durably(temporary, f"{log_id}\n".encode())
        try:
            with suppress(FileExistsError):
                os.link(temporary, final)
        finally:
            temporary.unlink()
        sync_directory(self.path)
        obeyed = self.log_id()
        if obeyed is None:
            raise OSError(errno.EIO, "there is no id in it", str(final))
        return obeyed

    def obey_successor(self, log_id: str) -> None:
        """Obeys the log that declares itself the successor of the one obeyed until now."""
        write_durably(self.path / "log-id", f"{log_id}\n".encode())

    # -- what the ledger needs of directories that are gone

    def record_closed(self, producer: str, final_seq: int) -> None:
        """Keeps, durably, how many events a producer had; must precede the removal of its directory.

        Raises:
            OSError: The file system refuses.
        """
        path = self.path / "closed"
        new = not path.exists()
        known = self.closed().get(producer)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        line = f"\n{producer} {final_seq}\n".encode()  # the first newline ends what a power cut tore
        try:
            if known != final_seq and os.write(fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            sync_directory(self.path)

    def closed(self) -> dict[str, int]:
        """Returns how many events each removed producer had."""
        final: dict[str, int] = {}
        for producer, seq in self._closed_lines():
            final[producer] = max(seq, final.get(producer, 0))
        return final

    def _closed_lines(self) -> Iterator[tuple[str, int]]:
        try:
            text = (self.path / "closed").read_text(errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            producer, _, seq = line.partition(" ")
            if _PRODUCER.fullmatch(producer) and seq.isdigit():
                yield producer, int(seq)

    def quarantine_directory(self, producer: str) -> None:
        """Sets a producer's directory aside with what is in it.

        Raises:
            OSError: The file system refuses.
        """
        directory = self.path / "quarantine"
        make_directory(directory)
        (self.path / producer).rename(directory / producer)
        log.warning("outbox.not_empty", producer=producer, moved_to=str(directory / producer))

    def quarantine(self, producer: str, segment: str, offset: int, content: bytes) -> None:
        """Sets damaged bytes aside under a name that says where they were; a second time does nothing.

        When the disk refuses, the damage is only logged: what can be read must not wait for what cannot.
        """
        path = self.path / "quarantine" / f"{producer}-{segment}-{offset}.bin"
        if path.exists():
            return
        where = {"producer": producer, "segment": segment, "offset": offset, "bytes": len(content)}
        try:
            make_directory(path.parent)
            write_durably(path, content)
        except OSError as error:
            log.error("outbox.damaged", **where, quarantined=False, error=error.strerror)
        else:
            log.warning("outbox.damaged", **where, quarantined=True)


def open_segment(path: Path) -> int:
    """Makes an empty segment, durably, and returns a descriptor for appending.

    Raises:
        OSError: The file system refuses, or the segment exists: a seq is never used twice.
    """
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        sync_directory(path.parent)
    except OSError:
        os.close(fd)
        with suppress(OSError):
            path.unlink()
        raise
    return fd
