"""Embedded: no broker at all. The worker reads the outbox directories; the relay reads what the log has committed."""

import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import structlog

from driftline.errors import BrokerError, LogError, LogNotFoundError
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.transport.batch import Batch
from driftline.transport.sender import LogInfo, Poll

log = structlog.get_logger()

_REST_S = 5.0
_MOST_BATCHES = 16
"""Of all producers together, unless they are more. They are committed together, and a commit costs what it costs."""


class LocalSender:
    """Learns what is committed from the log's own record, on the same machine.

    Args:
        log_dir: The directory of the log; it need not exist yet.
    """

    window_batches = 0

    def __init__(self, log_dir: Path) -> None:
        self._path = log_dir / FILE_NAME
        self._store: LogStore | None = None
        self._inode = 0

    async def poll(self, log: str | None, producers: Collection[str]) -> Poll:
        """Returns what the log in the directory has committed."""
        try:
            store = self._opened()
            log_id = store.log_id()
            info = LogInfo(log_id, store.predecessors(), live=True)
            committed = store.committed_of(producers) if log == log_id else None
        except LogNotFoundError:
            return Poll("", {}, None)
        except (LogError, OSError) as error:
            self._forget()
            raise BrokerError(f"the log cannot be asked what it has committed: {error}") from error
        return Poll(log_id, {log_id: info}, committed)

    async def send(self, batch: Batch) -> None:
        """Does nothing: the worker reads the outboxes itself."""

    async def withdraw(self, producer: str) -> None:
        """Does nothing: nothing was sent."""

    async def close(self) -> None:
        """Closes the log's record."""
        self._forget()

    def _opened(self) -> LogStore:
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            self._forget()
            raise LogNotFoundError(f"there is no log at {self._path}") from None
        if self._store is None or inode != self._inode:  # the log may have been replaced by another, or restored
            self._forget()
            self._store, self._inode = LogStore(self._path), inode
            self._store.sync_record()
        return self._store

    def _forget(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


class LocalOutboxes:
    """The worker's view of the outbox directories beside it: the next events of each, from where the log stands.

    Args:
        root: The outboxes; it need not exist yet.
        batch_events: At most so many events in a batch.
        batch_bytes: About so many bytes in a batch.
    """

    def __init__(self, root: OutboxRoot, *, batch_events: int = 1024, batch_bytes: int = 256 << 10) -> None:
        self._root = root
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._readers: dict[str, OutboxReader] = {}
        self._rests_until: dict[str, float] = {}

    def batches(self, log_id: str, committed: Mapping[str, int]) -> list[Batch]:
        """Returns a batch, or some, for each producer that has something the log has not.

        A directory that cannot be read is left alone for a while, so that it holds up no other.

        Args:
            log_id: The log that takes them; the outboxes must obey it.
            committed: What it has of each producer.

        Raises:
            OSError: The root cannot be read.
        """
        producers = self._root.producers()
        for gone in self._readers.keys() - set(producers):
            self._readers.pop(gone).close()
        now, most = time.monotonic(), max(1, _MOST_BATCHES // max(1, len(producers)))
        found: list[Batch] = []
        for producer in producers:
            if now < self._rests_until.get(producer, 0.0):
                continue
            try:
                found += self._next(log_id, producer, committed.get(producer, 0), most)
            except OSError as error:
                log.error("outbox.unreadable", producer=producer, error=str(error))
                self._rests_until[producer] = now + _REST_S
        return found

    def close(self) -> None:
        """Gives up all open files."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _next(self, log_id: str, producer: str, committed: int, most: int) -> Iterator[Batch]:
        reader = self._readers.get(producer)
        if reader is None:
            reader = self._readers[producer] = OutboxReader(self._root, producer)
        base = reader.oldest()
        if base is None:
            return
        reader.seek(max(base, committed))
        for number in range(most):
            chunk = reader.read(self._batch_events, self._batch_bytes)
            if not chunk.events and (number or base <= committed):
                return
            if (
                reader.oldest() or 0
            ) > chunk.first_seq:  # deleted while it was read: not damaged, and not to be told so
                return
            batch = Batch.of(log_id, producer, base, chunk.first_seq, chunk.events)
            yield batch
            if batch.count < self._batch_events and len(batch.payload) < self._batch_bytes // 2:
                return  # there is hardly more
