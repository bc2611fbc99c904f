"""Waiting until everything that was accepted is in the log."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from driftline.errors import LogError
from driftline.eventlog.reader import LogReader
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot

_POLL_S: Final = 0.5


def in_flight(outbox_dir: Path, log_dir: Path) -> int | None:
    """Returns how many events the outboxes hold that the log lacks, or None while that cannot be said."""
    root = OutboxRoot(outbox_dir)
    held = {producer: _end(root, producer) for producer in root.producers()}
    try:
        with LogReader(log_dir) as log:
            committed = log.committed()
    except LogError:
        return None
    return sum(max(0, end - committed.get(producer, 0)) for producer, end in held.items())


async def drained(outbox_dir: Path, log_dir: Path, within_s: float, say: Callable[[int | None], None]) -> float | None:
    """Returns after how many seconds nothing was in flight any more, or None if something still is.

    Args:
        outbox_dir: The outboxes.
        log_dir: The log.
        within_s: How long to wait.
        say: Is told now and then how much is in flight.
    """
    began = time.monotonic()
    while (waiting := await asyncio.to_thread(in_flight, outbox_dir, log_dir)) != 0:
        say(waiting)
        if time.monotonic() - began > within_s:
            return None
        await asyncio.sleep(_POLL_S)
    return time.monotonic() - began


def _end(root: OutboxRoot, producer: str) -> int:
    reader = OutboxReader(root, producer, sets_aside=False)
    try:
        return reader.end()
    except OSError:  # drained and removed between two looks
        return 0
    finally:
        reader.close()
