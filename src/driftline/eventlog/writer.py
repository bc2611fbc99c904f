"""The one writer of a log: appends, syncs, and records what it has appended in one transaction."""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from driftline.durable import leads_to, lock_directory, make_directory, sync_content, sync_directory
from driftline.errors import LogDamagedError, LogNotFoundError, LogUnavailableError
from driftline.eventlog.record import BLOCK_BYTES, Block, Commit, Gap, Tombstone
from driftline.eventlog.sqlite_errors import REMEDY
from driftline.eventlog.store import FILE_NAME, LogStore

log = structlog.get_logger()

LINK_NAME = "predictions.jsonl"
SEGMENTS = "segments"
PARQUET = "parquet"
"""In the log's directory from the first compaction on."""
LOSS_REMEDY = "bring it back from a backup, or go on without what is lost: driftline log repair"
LOCK_WITHIN_S = 2.0
"""What a repair gives a worker that has locked a damaged log for a look at it, and gives it up again."""
UNPACKED = ".unpacked"
"""In the log's directory while a backup is being unpacked there."""
RESTORING = ".restoring"
"""In the log's directory while a backup takes the log's place: what lies there is neither the one nor the other."""


def segment_path(log_dir: Path, number: int) -> Path:
    """Returns where a segment lies; it is born with this name, since a renaming could not be one with the commit."""
    return log_dir / SEGMENTS / f"{number:08d}.jsonl"


class LogWriter:
    """The log of one directory, open for appending, and locked against any other writer.

    After an error nothing is known of the last append: :meth:`recover`, which is what happens at a start, goes back to
    what is recorded as committed.

    Args:
        log_dir: The directory; made if it is not there.
        segment_max_bytes: A segment that has reached this is followed by a new one.
        segment_max_age_s: So is one that is this old and not empty.

    Attributes:
        log_id: The id of this log.
        predecessors: The logs that this one replaces.
        committed: The next seq to expect, by producer. Read it, do not change it.
    """

    def __init__(
        self, log_dir: Path, *, segment_max_bytes: int = 256 << 20, segment_max_age_s: float = 86400.0
    ) -> None:
        self.log_dir = log_dir
        self.log_id = ""
        self.predecessors: frozenset[str] = frozenset()
        self.committed: dict[str, int] = {}
        self._segment_max_bytes = segment_max_bytes
        self._segment_max_age_s = segment_max_age_s
        self._lock_fd: int | None = None
        self._has_been_open = False
        self._fd: int | None = None
        self._store: LogStore | None = None
        self._segment = 0
        self._created_at = 0.0
        self._earlier_bytes = 0
        self._block = Block(0, 0, 0, 0, 0, 0)

    @property
    def rows(self) -> int:
        """Committed lines in the whole log."""
        return self._block.first_row + self._block.lines

    @property
    def segment(self) -> int:
        """The number of the segment that is appended to."""
        return self._segment

    @property
    def size_bytes(self) -> int:
        """Bytes that what is committed takes on disk; what compaction saves is seen at the next rotation."""
        return self._earlier_bytes + self._block.start + self._block.length

    @property
    def is_open(self) -> bool:
        """Whether it can append; it cannot after a recovery that failed."""
        return self._fd is not None

    def try_open(self) -> bool:
        """Locks the directory and goes to the end of what is committed; False if another writer has it.

        Nothing is read or cut before the lock is held.

        Raises:
            LogDamagedError: The files contradict what is recorded; nothing has been changed.
            LogUnavailableError: The disk refuses.
        """
        try:
            make_directory(self.log_dir / SEGMENTS)
            self._lock_fd = lock_directory(self.log_dir)
        except OSError as error:
            raise LogUnavailableError(f"cannot use {self.log_dir}: {error.strerror}") from error
        if self._lock_fd is None:
            return False
        try:
            self.recover()
        except BaseException:
            self.close()
            raise
        return True

    def recover(self) -> None:
        """Goes back to what is recorded as committed, cutting what an interrupted append left behind it.

        Raises:
            LogDamagedError: The active segment is shorter than what was committed to it, or there are segments and no
                record of what was, or a restore was interrupted, or the directory is not the one that was locked;
                nothing has been changed.
            LogUnavailableError: The disk refuses.
        """
        self._close_files()
        if self._lock_fd is not None and not leads_to(self.log_dir, self._lock_fd):
            raise self._gone()
        if (self.log_dir / RESTORING).exists():
            raise LogDamagedError(f"a restore of {self.log_dir} was interrupted: run it again (driftline log restore)")
        shutil.rmtree(self.log_dir / UNPACKED, ignore_errors=True)  # of a restore that never got further
        try:
            self._store = LogStore(self.log_dir / FILE_NAME, create=not self._holds_lines())
            self._recover_files(self._store)
        except LogNotFoundError as error:
            raise LogDamagedError(
                f"{self.log_dir} has segments but no {FILE_NAME}, which says what is committed in them; {REMEDY}"
            ) from error
        except OSError as error:
            self._close_files()
            raise LogUnavailableError(f"cannot use {self.log_dir}: {error.strerror}") from error
        except BaseException:
            self._close_files()
            raise

    def _holds_lines(self) -> bool:
        if next((self.log_dir / PARQUET).glob("day=*/*.parquet"), None) is not None:
            return True
        for path in (self.log_dir / SEGMENTS).glob("*.jsonl"):
            with suppress(FileNotFoundError):  # it has just become Parquet
                if path.stat().st_size:
                    return True
        return False

    def _recover_files(self, store: LogStore) -> None:
        self.log_id = store.log_id()
        self.predecessors = store.predecessors()
        self.committed = store.committed()
        self._segment, self._created_at = store.active_segment()
        self._block = store.last_block(self._segment)
        self._earlier_bytes = store.size_bytes() - self._block.start - self._block.length
        length = self._block.start + self._block.length
        path = segment_path(self.log_dir, self._segment)
        held = path.stat().st_size if path.exists() else 0
        if held < length:
            raise LogDamagedError(f"{path} holds {held:,} bytes, and {length:,} were committed to it; {LOSS_REMEDY}")
        store.settle()
        for later in (self.log_dir / SEGMENTS).glob("*.jsonl"):
            if later.name > path.name:  # born, but never recorded
                later.unlink()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._fd, length)
        os.fsync(self._fd)
        sync_directory(path.parent)
        sync_directory(self.log_dir)
        self._point_link()
        # What an append of our own left behind has been told of already, when it failed.
        if held > length and not self._has_been_open:
            log.info("log.cut_back", segment=path.name, bytes=held - length)
        self._has_been_open = True

    def append(
        self,
        payload: bytes,
        lines: int,
        committed: Mapping[str, int],
        gaps: Sequence[Gap] = (),
        tombstones: Sequence[Tombstone] = (),
    ) -> None:
        """Appends whole lines and records them as committed, with all that belongs to them, durably.

        Args:
            payload: The lines, each ended by a newline; may be empty.
            lines: How many they are.
            committed: The next seq to expect, for each producer that has moved.
            gaps: Events that will not come any more.
            tombstones: Events that came damaged.

        Raises:
            LogDamagedError: As :meth:`check_in_place`.
            LogUnavailableError: Disk full, or failing. Nothing is known of this append until :meth:`recover`.
        """
        store = self._opened_store()
        try:
            self.check_in_place()
            if self._due():
                self._rotate()
            block = self._block
            if block.length >= BLOCK_BYTES:
                block = Block(self._segment, block.start + block.length, 0, block.first_row + block.lines, 0, 0)
            block = block.extended(payload, lines)
            self._write(payload)
            store.commit(Commit(block, committed, gaps, tombstones))
        except BaseException:  # bytes may lie there that nobody recorded; behind them nothing may be appended
            self._close_files()
            raise
        self._block = block
        self.committed.update(committed)

    def check_in_place(self) -> None:
        """Returns if what is committed now can be found again: the files are those that the paths lead to.

        Raises:
            LogDamagedError: One was removed or replaced while the log was being written.
            LogUnavailableError: The log is not open, or the disk refuses.
        """
        store = self._opened_store()
        assert self._lock_fd is not None
        assert self._fd is not None
        segment = segment_path(self.log_dir, self._segment)
        try:
            there = leads_to(self.log_dir, self._lock_fd) and leads_to(segment, self._fd) and store.in_place()
        except OSError as error:
            raise LogUnavailableError(f"cannot look at {self.log_dir}: {error.strerror}") from error
        if not there:
            raise self._gone()

    def _gone(self) -> LogDamagedError:
        return LogDamagedError(f"the log in {self.log_dir} was removed or replaced while it was being written")

    def replace(self, log_id: str) -> None:
        """Declares this log the successor of one that is lost: outboxes which obeyed that one will obey this.

        Raises:
            LogUnavailableError: The log is not open, or the disk refuses.
        """
        self._opened_store().add_predecessor(log_id)
        self.predecessors |= {log_id}

    def close(self) -> None:
        """Gives up the files and the lock; everything appended has been committed."""
        self._close_files()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _write(self, payload: bytes) -> None:
        if self._fd is None:
            raise LogUnavailableError("the log is not open")
        try:
            if payload:
                _write_all(self._fd, payload)
                sync_content(self._fd)
        except OSError as error:
            raise LogUnavailableError(f"cannot append to the log: {error.strerror}") from error

    # -- rotation

    def _due(self) -> bool:
        length = self._block.start + self._block.length
        aged = time.time() - self._created_at >= self._segment_max_age_s
        return length >= self._segment_max_bytes or (length > 0 and aged)

    def _rotate(self) -> None:
        number, created_at = self._segment + 1, time.time()
        path = segment_path(self.log_dir, number)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            old, self._fd = self._fd, fd
            if old is not None:
                os.close(old)
            sync_directory(path.parent)
        except OSError as error:
            raise LogUnavailableError(f"cannot begin {path}: {error.strerror}") from error
        store = self._opened_store()
        store.start_segment(number, created_at)
        self._earlier_bytes = store.size_bytes()  # less than it was, if a segment has become Parquet meanwhile
        self._segment, self._created_at = number, created_at
        self._block = Block(number, 0, 0, self.rows, 0, 0)
        log.info("log.rotated", segment=path.name, rows=self.rows)
        try:
            self._point_link()
        except OSError as error:
            raise LogUnavailableError(f"cannot point {LINK_NAME} at {path.name}: {error.strerror}") from error

    def _point_link(self) -> None:
        target = Path(SEGMENTS) / segment_path(self.log_dir, self._segment).name
        temporary = self.log_dir / f".{LINK_NAME}"
        with suppress(FileNotFoundError):
            temporary.unlink()
        temporary.symlink_to(target)
        temporary.replace(self.log_dir / LINK_NAME)

    def _opened_store(self) -> LogStore:
        if self._store is None:
            raise LogUnavailableError("the log is not open")
        return self._store

    def _close_files(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _write_all(fd: int, payload: bytes) -> None:
    view = memoryview(payload)
    while view:
        view = view[os.write(fd, view) :]
