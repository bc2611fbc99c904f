"""The worker process: takes the log, receives until it is asked to stop, and gives the log up."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Protocol

import structlog

from driftline.eventlog.writer import LogWriter
from driftline.outbox.root import OutboxRoot
from driftline.probes import HealthServer
from driftline.supervisor import Child
from driftline.worker.compaction import compact_closed
from driftline.worker.embedded import EmbeddedReceiver
from driftline.worker.scribe import Scribe
from driftline.worker.scrub import scrub

log = structlog.get_logger()


class Receiver(Protocol):
    """Brings batches to a scribe, and what it has committed back to whoever sent them."""

    async def run(self, scribe: Scribe) -> None:
        """Works until :meth:`stop`.

        Raises:
            LogError: The log is damaged, or not the one that the outboxes obey.
        """

    def stop(self) -> None:
        """Asks :meth:`run` to return."""


def make_receiver(outbox_root: Path, broker_url: str | None, broker_timeout_s: float) -> Receiver:
    """Returns the receiver for this broker; without one, that which reads the outboxes on this machine.

    Raises:
        BrokerError: The URL is not one of Redis.
    """
    if broker_url is None:
        return EmbeddedReceiver(OutboxRoot(outbox_root))
    from driftline.worker.stream import StreamReceiver  # noqa: PLC0415 (FastStream is not loaded without a broker)

    return StreamReceiver(broker_url, broker_timeout_s)


async def run_worker(
    *,
    outbox_root: Path,
    log_dir: Path,
    broker_url: str | None,
    broker_timeout_s: float,
    segment_max_bytes: int,
    segment_max_age_s: float,
    metrics_host: str,
    metrics_port: int | None,
    compaction: Child | None = None,
) -> None:
    """Writes the log until SIGTERM or SIGINT; then finishes the commit under way and returns.

    Args:
        outbox_root: The outboxes of this machine; read only without a broker.
        log_dir: The log; made if it is not there.
        broker_url: Where Redis is; None for embedded.
        broker_timeout_s: How long any answer of it may take.
        segment_max_bytes: A log segment of this size is followed by a new one.
        segment_max_age_s: So is one of this age.
        metrics_host: Where metrics and health are served.
        metrics_port: The port for it; None for no such server.
        compaction: The process that compacts closed segments; None for leaving them as they are.

    Raises:
        LogError: The log is damaged, the disk refuses, or the outboxes obey another log.
        BrokerError: The broker's URL is not one.
        PortError: The port for metrics cannot be had.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    scribe = Scribe(LogWriter(log_dir, segment_max_bytes=segment_max_bytes, segment_max_age_s=segment_max_age_s))
    if broker_url is not None:
        scribe.source_away("the broker is away: not reached yet")
    receiver = make_receiver(outbox_root, broker_url, broker_timeout_s)
    health = None if metrics_port is None else HealthServer(metrics_host, metrics_port, lambda: scribe.reason)
    task = asyncio.create_task(_work(scribe, receiver, log_dir, compaction))
    try:
        await _first(task, stopping)
        if not task.done():
            log.info("worker.stopping")
            if scribe.opened:
                receiver.stop()
            else:  # a standby has nothing to finish
                task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        if health is not None:
            health.close()
    log.info("worker.stopped")


async def _work(scribe: Scribe, receiver: Receiver, log_dir: Path, compaction: Child | None = None) -> None:
    await scribe.open()
    beside = [asyncio.create_task(scrub(log_dir), name="scrub")]
    if compaction is not None:
        beside.append(asyncio.create_task(compact_closed(compaction, lambda: scribe.segment), name="compaction"))
    try:
        await receiver.run(scribe)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await scribe.close()


async def _first(task: asyncio.Task[None], stopping: asyncio.Event) -> None:
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
