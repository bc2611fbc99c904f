"""The ledger on the first page: counted in the background, and not more often than is reasonable."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from driftline.errors import DriftlineError
from driftline.transport.ledger import Ledger, take_ledger

log = structlog.get_logger()

AT_LEAST_S: Final = 15.0
SHARE: Final = 0.02
"""Of a processor's time: counting reads the whole log, and a long one is counted more rarely."""


@dataclass(frozen=True)
class Counted:
    """A ledger, and when it was; or why there is none."""

    ledger: Ledger | None
    trouble: str
    at_us: int
    took_s: float


class Books:
    """Counts when somebody looks, and the last count has become old.

    Args:
        outbox_dir: The outboxes of this machine.
        log_dir: The log.
        tell: Called when a count says something else than the one before.
    """

    def __init__(self, outbox_dir: Path, log_dir: Path, tell: Callable[[], None]) -> None:
        self._outbox_dir = outbox_dir
        self._log_dir = log_dir
        self._tell = tell
        self._counted: Counted | None = None
        self._counting: asyncio.Task[None] | None = None
        self._next_s = 0.0

    def latest(self) -> Counted | None:
        """Returns the last count, None if there is none yet, and begins another if it is time. Call it in the loop."""
        if self._counting is None and time.monotonic() >= self._next_s:
            self._counting = asyncio.create_task(self._count(), name="console.books")
        return self._counted

    async def _count(self) -> None:
        before = self._counted
        try:
            self._counted = await asyncio.to_thread(self._take)
        finally:
            self._counting = None
        self._next_s = time.monotonic() + max(AT_LEAST_S, self._counted.took_s / SHARE)
        if before is None or before.ledger != self._counted.ledger:
            self._tell()

    def _take(self) -> Counted:
        began = time.monotonic()
        ledger, trouble = None, ""
        try:
            ledger = take_ledger(self._outbox_dir, self._log_dir)
        except DriftlineError as error:
            trouble = error.message
        except OSError as error:
            trouble = error.strerror or str(error)
        return Counted(ledger, trouble, time.time_ns() // 1000, time.monotonic() - began)
