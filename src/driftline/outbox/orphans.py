"""Outbox directories whose process is gone: any process may adopt one, and only drains it."""

import os
import time
from collections.abc import Iterator

import structlog

from driftline.durable import lock_directory
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import held_bytes, release, remove_drained, segment_firsts, segment_name

log = structlog.get_logger()


class Orphan:
    """An adopted directory: owned by lock, never appended to.

    Args:
        root: Where it lies.
        producer: Whose it was.
        lock_fd: The descriptor that holds its lock; closed when the orphan is let go.
    """

    def __init__(self, root: OutboxRoot, producer: str, lock_fd: int) -> None:
        self.root = root
        self.producer = producer
        self._lock_fd = lock_fd
        self._directory = root.path / producer

    @property
    def held_bytes(self) -> int:
        """Bytes of its segments on disk."""
        return held_bytes(self._directory)

    def age_s(self) -> float:
        """Returns the seconds since its oldest segment was last written, 0 if there is none."""
        firsts = segment_firsts(self._directory)
        if not firsts:
            return 0.0
        return max(0.0, time.time() - (self._directory / segment_name(firsts[0])).stat().st_mtime)

    def release(self, committed: int) -> None:
        """Deletes the segments of which every event is below ``committed``, except the last."""
        release(self._directory, committed)

    def remove(self, final_seq: int, reader: OutboxReader) -> None:
        """Removes the directory once every whole event of it is in the log; a torn end goes to quarantine.

        Args:
            final_seq: How many events it had.
            reader: A reader of this directory that stands behind the last whole event.
        """
        torn_bytes = reader.quarantine_unfinished()
        remove_drained(self.root, self.producer, final_seq)
        log.info("orphan.drained", producer=self.producer, events=final_seq, torn_bytes=torn_bytes)

    def let_go(self) -> None:
        """Gives up the lock, so that another process may adopt what is left."""
        os.close(self._lock_fd)


def adopt_orphans(root: OutboxRoot) -> Iterator[Orphan]:
    """Yields each directory that had no living owner and has one now: the caller.

    A directory of this process that is in use is locked through another descriptor, and so is not taken.
    """
    root.clear_unborn()
    for producer in root.producers():
        try:
            lock_fd = lock_directory(root.path / producer)
        except OSError as error:
            log.warning("orphan.refused", producer=producer, error=str(error))
            continue
        if lock_fd is not None:
            log.info("orphan.adopted", producer=producer)
            yield Orphan(root, producer, lock_fd)
