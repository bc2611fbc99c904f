"""Receives without a broker: reads the outbox directories of the same machine."""

import asyncio
import time

import structlog

from driftline.errors import LogMismatchError
from driftline.outbox.root import OutboxRoot
from driftline.transport.batch import Batch
from driftline.transport.local import LocalOutboxes
from driftline.worker.scribe import Scribe

log = structlog.get_logger()

_PAUSE_S = 0.01
_IDLE_PAUSE_S = 0.1
_CHECK_S = 1.0
_FLUSH_S = 5.0
_RETRY_S = 0.5


class EmbeddedReceiver:
    """Brings what the outboxes hold into the log, as it comes.

    Args:
        root: The outboxes; made if they are not there.
    """

    def __init__(self, root: OutboxRoot) -> None:
        self._root = root
        self._outboxes = LocalOutboxes(root)
        self._stop_at: float | None = None
        self._checked_at = -_CHECK_S
        self._obeyed: str | None = None
        self._trouble = ""

    async def run(self, scribe: Scribe) -> None:
        """Works until :meth:`stop`, and then until nothing is left, for five seconds at most.

        Raises:
            LogMismatchError: The outboxes obey another log.
            LogDamagedError: The log was found damaged, or is gone.
            OutboxUnavailableError: The outboxes cannot be made.
        """
        self._root.create()
        pause_s = _PAUSE_S
        try:
            while self._stop_at is None or time.monotonic() < self._stop_at:
                batches = await self._next_batches(scribe)
                if batches:
                    await scribe.take(batches)
                elif self._stop_at is not None:
                    return
                # Small commits cost as much as large ones: let some events gather. Looking costs something too.
                pause_s = _PAUSE_S if batches else min(2 * pause_s, _IDLE_PAUSE_S)
                await asyncio.sleep(pause_s)
        finally:
            self._outboxes.close()

    def stop(self) -> None:
        """Asks :meth:`run` to finish what is there and return."""
        self._stop_at = time.monotonic() + _FLUSH_S

    async def _next_batches(self, scribe: Scribe) -> list[Batch]:
        try:
            if time.monotonic() - self._checked_at >= _CHECK_S:
                await scribe.check()
                self._be_obeyed(scribe)
            batches = await asyncio.to_thread(self._outboxes.batches, scribe.log_id, scribe.committed)
        except OSError as error:
            self._unreadable(scribe, error.strerror or str(error))
            self._outboxes.close()
            await asyncio.sleep(_RETRY_S)
            return []
        self._unreadable(scribe, "")
        return batches

    def _unreadable(self, scribe: Scribe, why: str) -> None:
        if why and why != self._trouble:
            log.error("outbox.unreadable", outboxes=str(self._root.path), error=why)
        self._trouble = why
        scribe.source_away(f"the outboxes in {self._root.path} cannot be used: {why}" if why else "")

    def _be_obeyed(self, scribe: Scribe) -> None:
        obeyed = self._root.log_id_durably(self._obeyed)
        if obeyed is None:
            obeyed = self._root.obey(scribe.log_id)
        elif obeyed in scribe.predecessors:
            self._root.obey_successor(scribe.log_id)
            log.info("log.succeeded", log=scribe.log_id, predecessor=obeyed)
            obeyed = scribe.log_id
        if obeyed != scribe.log_id:
            raise LogMismatchError(
                f"the outboxes in {self._root.path} obey log {obeyed}, and this is log {scribe.log_id}. "
                f"If that log is lost, say so with: driftline log replace {obeyed}"
            )
        self._obeyed, self._checked_at = obeyed, time.monotonic()
