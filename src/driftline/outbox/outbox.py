"""The outbox of one life of an API process: every event is appended here before its request is answered."""

import asyncio
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Literal

import structlog

from driftline.durable import leads_to, sync_content
from driftline.errors import OutboxError, OutboxFullError, OutboxUnavailableError
from driftline.outbox.record import decode_run, encode, encode_all
from driftline.outbox.root import OutboxRoot, open_segment
from driftline.outbox.segments import release, remove_drained, segment_name

log = structlog.get_logger()

Sync = Literal["os", "always"]
_PROBE_EVERY_S = 1.0
_ONE_EVENT_BYTES = 64 * 1024
_LOOK_EVERY_S = 0.05
_MOST_PARTS = os.sysconf("SC_IOV_MAX")


class Outbox:
    """An append-only sequence of events on disk, numbered from 0, owned by one event loop.

    The directory is made at the first append. With ``sync="os"`` an append has survived ``kill -9`` when it returns,
    and a power cut a while later; with ``sync="always"`` it has survived a power cut when :meth:`synced` returns.

    A failed append is cut back behind the last record that is whole, and the next seq follows that one's: what lay
    whole in the file for a moment may have been read, and come to the log. A failed fdatasync retires the producer id:
    the kernel may have dropped the pages it could not write, so nothing may be appended behind them, and a second
    fdatasync would lie. What was written stays for the relay to drain. A directory that was removed, or moved away,
    retires the id too, for nobody would find what is appended to it; appends look for that every 50 ms.

    Args:
        root: Where the directory is made; must exist.
        segment_max_bytes: A segment that has reached this, or a quarter of ``max_bytes``, is followed by a new one: the
            one appended to cannot be deleted, so a full outbox must consist of several.
        max_bytes: Appends are refused while the segments on disk hold this much.
        sync: What an append must have survived before its request is answered.

    Attributes:
        producer: Random id of this life; another one after a failed fdatasync.
        next_seq: The seq of the next event.
        adopted_bytes: Bytes of the orphans that this process drains, kept up to date by the relay; they count too.
    """

    def __init__(
        self,
        root: OutboxRoot,
        *,
        segment_max_bytes: int = 16 << 20,
        max_bytes: int = 1 << 30,
        sync: Sync = "os",
    ) -> None:
        self.root = root
        self.producer = uuid.uuid4().hex
        self.next_seq = 0
        self.adopted_bytes = 0
        self._segment_max_bytes = min(segment_max_bytes, max_bytes // 4)
        self._max_bytes = max_bytes
        self._full_at = max_bytes
        self._sync = sync
        self._own_bytes = 0
        self._segment_bytes = 0
        self._fd: int | None = None
        self._lock_fd: int | None = None
        self._rolled: list[int] = []  # descriptors of full segments that still have to be synced
        self._waiting: list[asyncio.Future[None]] = []
        self._syncer: asyncio.Task[None] | None = None
        self._probed_at = -_PROBE_EVERY_S
        self._looked_at = 0.0
        self._closed = False

    @property
    def held_bytes(self) -> int:
        """Bytes on disk in this directory and in the orphans that this process drains."""
        return self._own_bytes + self.adopted_bytes

    @property
    def fill_ratio(self) -> float:
        """Share of ``max_bytes`` that is held; near 1 appends are refused."""
        return self.held_bytes / self._max_bytes

    @property
    def started(self) -> bool:
        """Whether this life has a directory."""
        return self._lock_fd is not None

    def append(self, payload: bytes) -> int:
        """Appends one event and returns its seq, which was :attr:`next_seq` before the call.

        Raises:
            OutboxFullError: The outbox holds ``max_bytes``.
            OutboxUnavailableError: The disk refused; nothing was appended.
        """
        self._look()
        seq = self.next_seq
        self._refuse_closed()
        self._write([encode(seq, payload)])
        self.next_seq = seq + 1
        return seq

    def append_all(self, payloads: Iterable[bytes]) -> int:
        """Appends events, of which all may be told or none, and returns the first one's seq; the others follow it.

        Only a process that is killed meanwhile, or a disk that becomes full, may leave the first ones without the last:
        nobody is told of them, they come to the log, and :attr:`next_seq` follows them.

        Raises:
            OutboxFullError: The outbox holds ``max_bytes``, or would; nothing was appended.
            OutboxUnavailableError: The disk refused; no event may be taken for appended.
        """
        self._look()
        first = self.next_seq
        self._refuse_closed()
        records = encode_all(first, payloads)
        self._write(records.parts)
        self.next_seq = first + records.events
        if self._segment_bytes >= self._segment_max_bytes:
            # It may hold most of what the outbox may, and while it is the one appended to, nothing releases it.
            with suppress(OutboxUnavailableError):  # the next append tries again
                self._next_segment()
        return first

    def _refuse_closed(self) -> None:
        if self._closed:
            raise OutboxUnavailableError("the outbox is closed")

    def _write(self, parts: Sequence[bytes]) -> None:
        size_bytes = sum(map(len, parts))
        if self.held_bytes + size_bytes > self._max_bytes:
            raise self._full(size_bytes)
        fd = self._fd
        if fd is None or self._segment_bytes >= self._segment_max_bytes:
            fd = self._next_segment()
        try:
            written = _written(fd, parts)
        except OSError as error:
            self._cut_back(fd, parts)
            raise OutboxUnavailableError(f"the outbox cannot be written: {error.strerror}") from error
        if written != size_bytes:
            self._cut_back(fd, parts)
            raise OutboxUnavailableError("the outbox cannot be written: no space left")
        self._segment_bytes += written
        self._own_bytes += written

    async def synced(self) -> None:
        """Returns when the event just appended has survived what ``sync`` promises.

        Must be called right behind the append. One fdatasync serves all appends that wait for it.

        Raises:
            OutboxUnavailableError: It may not survive a power cut, so its request must not be answered with 200.
        """
        if self._sync == "always":
            await self.sync_soon()

    def sync_soon(self) -> asyncio.Future[None]:
        """Returns what is done when all that was appended before is synced, or failed as :meth:`synced` fails.

        Must be called right behind the append, before another one.
        """
        future = asyncio.get_running_loop().create_future()
        if self._fd is None:  # the id was retired behind the append, and nothing will sync what it left
            _fail([future])
            return future
        self._waiting.append(future)
        if self._syncer is None or self._syncer.done():
            self._syncer = asyncio.create_task(self._sync_until_idle())
        return future

    def check(self) -> None:
        """Returns if an append would be accepted now, as far as can be told without one.

        Raises:
            OutboxFullError: As :meth:`append`.
            OutboxUnavailableError: A probe file could not be written beside the outboxes.
        """
        if self._closed:
            raise OutboxUnavailableError("the outbox is closed")
        if self.held_bytes >= self._full_at:
            raise self._full(0)
        now = time.monotonic()
        if now - self._probed_at < _PROBE_EVERY_S:
            return
        probe = self.root.path / f".probe-{os.getpid()}"
        try:
            probe.write_bytes(b"\0" * 4096)
        except OSError as error:
            raise OutboxUnavailableError(f"the outbox cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                probe.unlink()
        self._probed_at = now

    def release(self, committed: int) -> None:
        """Deletes the segments of which every event is below ``committed``; the one appended to always stays."""
        if self.started:
            self._own_bytes -= release(self.root.path / self.producer, committed)

    def discard(self) -> None:
        """Removes this life's directory, of which every event is in the log; its count stays for the ledger."""
        if self.started:
            self._closed = True
            remove_drained(self.root, self.producer, self.next_seq)
            self._own_bytes = 0

    async def close(self) -> None:
        """Syncs what is left, and gives up the directory: from here on it is an orphan for anyone to drain."""
        self._closed = True
        if self._syncer is not None:
            await asyncio.wait([self._syncer])
        if self._fd is not None:
            try:
                await asyncio.to_thread(os.fsync, self._fd)
            except OSError as error:
                log.warning("outbox.sync_failed", producer=self.producer, error=error.strerror)
        self._give_up()

    # -- segments

    def _look(self) -> None:
        """Makes sure, every 50 ms, that what is appended can be found again.

        Raises:
            OutboxUnavailableError: The directory or the segment is gone; the next append starts anew.
        """
        now = time.monotonic()
        if self._fd is None or self._lock_fd is None or now - self._looked_at < _LOOK_EVERY_S:
            return
        try:
            there = leads_to(self.root.path / self.producer, self._lock_fd) and os.fstat(self._fd).st_nlink > 0
        except OSError as error:
            raise OutboxUnavailableError(f"the outbox cannot be looked at: {error.strerror}") from error
        if not there:
            self._retire("it was removed or moved away")
            raise OutboxUnavailableError("the outbox cannot be written: it was removed, and starts anew")
        self._looked_at = now

    def _next_segment(self) -> int:
        name = segment_name(self.next_seq)
        try:
            if self._lock_fd is None:
                self._lock_fd, fd = self.root.create_producer(self.producer, name)
                log.info("outbox.opened", producer=self.producer)
            else:
                fd = open_segment(self.root.path / self.producer / name)
        except FileExistsError as error:  # left by a failed attempt that could not be undone: a seq is never used twice
            self._retire(f"segment {name} exists")
            raise OutboxUnavailableError("the outbox cannot be written: it starts anew") from error
        except OSError as error:
            if self._lock_fd is None:
                self.producer = uuid.uuid4().hex  # what was half made is never taken up again
            raise OutboxUnavailableError(f"the outbox cannot be written: {error.strerror}") from error
        if self._fd is not None:
            if self._sync == "always":
                self._rolled.append(self._fd)
            else:
                os.close(self._fd)
        self._fd = fd
        self._segment_bytes = 0
        return fd

    def _cut_back(self, fd: int, parts: Sequence[bytes]) -> None:
        """Ends the segment behind the last whole record of a write that failed; the seqs up to there are used."""
        try:
            left = os.fstat(fd).st_size - self._segment_bytes  # whether the write has told of it or not
            # A reader in another process may have seen what is whole, and the log may have it: it stays.
            whole, whole_bytes = decode_run(b"".join(parts)[:left], 0, self.next_seq, left) if left > 0 else ([], 0)
            self.next_seq += len(whole)
            self._segment_bytes += whole_bytes
            self._own_bytes += whole_bytes
            os.ftruncate(fd, self._segment_bytes)
        except OSError as error:
            self._retire(f"a failed append could not be cut back: {error.strerror}")

    def _retire(self, reason: str) -> None:
        log.error("outbox.retired", producer=self.producer, events=self.next_seq, reason=reason)
        self._give_up()
        self.producer = uuid.uuid4().hex
        self.next_seq = self._own_bytes = self._segment_bytes = 0

    def _give_up(self) -> None:
        for fd in (self._fd, self._lock_fd, *self._rolled):
            if fd is not None:
                os.close(fd)
        self._fd = self._lock_fd = None
        self._rolled = []
        _fail(self._waiting)
        self._waiting = []

    def _full(self, needed_bytes: int) -> OutboxError:
        if needed_bytes < _ONE_EVENT_BYTES:  # many at once may find no room where the next one does
            self._full_at = self.held_bytes  # less than max_bytes by what the next event needs
        return OutboxFullError(
            f"the outbox holds {self.held_bytes:,} of {self._max_bytes:,} bytes and the log is not taking them"
        )

    # -- group fdatasync

    async def _sync_until_idle(self) -> None:
        while self._waiting:
            served, self._waiting = self._waiting, []
            producer = self.producer
            try:
                # A duplicate: the id may be retired, and its descriptors closed, while the thread is at work.
                current = [] if self._fd is None else [os.dup(self._fd)]
            except OSError as error:  # too many are open; what was appended is as good as before
                log.warning("outbox.not_synced", producer=producer, error=error.strerror)
                _fail(served)
                continue
            rolled, self._rolled = self._rolled, []
            try:
                await asyncio.to_thread(_sync_and_close, [*rolled, *current])
            except OSError as error:
                _fail(served)
                if self.producer == producer:
                    self._retire(f"fdatasync failed: {error.strerror}")
                continue
            for future in served:
                if not future.done():
                    future.set_result(None)


def _written(fd: int, parts: Sequence[bytes]) -> int:
    """Returns how much of the parts one system call has written."""
    if 1 < len(parts) <= _MOST_PARTS:
        return os.writev(fd, parts)
    return os.write(fd, parts[0] if len(parts) == 1 else b"".join(parts))


def _sync_and_close(fds: list[int]) -> None:
    try:
        for fd in fds:
            sync_content(fd)
    finally:
        for fd in fds:
            os.close(fd)


def _fail(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(OutboxUnavailableError("the outbox could not be synced"))
