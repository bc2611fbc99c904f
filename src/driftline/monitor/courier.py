"""Sends what waits in the queue, to each sink at its own pace."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import structlog

from driftline.errors import SinkError
from driftline.monitor.delivery import DELIVERIES, LONGEST_WAIT_US, Delivery, DeliveryQueue
from driftline.monitor.sink import AlertSink

log = structlog.get_logger()

T = TypeVar("T")

_POLL_S: Final = 0.5
_FIRST_WAIT_US: Final = 1_000_000
_LAST_WAIT_US: Final = 300_000_000
_DISK_WAIT_S: Final = 5.0
_SECOND_US: Final = 1_000_000


class Courier:
    """Sends notices until it is stopped. A sink that is away or slow holds up no other.

    A notice is recorded as delivered after the receiver has taken it, so it is sent at least once, and exactly once
    unless the process is killed between the two, or the answer is lost on its way. What is sent twice has the same
    :attr:`~driftline.monitor.alert.Alert.notice_id`.

    Args:
        queue: Of the monitor, on a connection of its own that may be used from any thread.
        sinks: By name.
        clock_us: Gives the time.
    """

    def __init__(self, queue: DeliveryQueue, sinks: Mapping[str, AlertSink], clock_us: Callable[[], int]) -> None:
        self._queue = queue
        self._sinks = sinks
        self._clock_us = clock_us
        self._database = asyncio.Lock()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Sends until :meth:`stop`, or until it is cancelled; first finishes and records what is just being sent."""
        if not self._sinks:
            await self._stopping.wait()
            return
        lanes = [asyncio.create_task(self._serve(*each), name=f"courier-{each[0]}") for each in self._sinks.items()]
        try:
            await asyncio.wait(lanes, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self.stop()
            # Cancelled once more, this process is in such a hurry that a notice may be sent twice.
            await asyncio.gather(*lanes)

    def stop(self) -> None:
        """Asks :meth:`run` to return."""
        self._stopping.set()

    async def _serve(self, name: str, sink: AlertSink) -> None:
        while not self._stopping.is_set():
            pause_s = _POLL_S
            try:
                if await self._send_next(name, sink):
                    continue
            except sqlite3.Error as error:  # a full disk, or a transaction that takes long: nothing was forgotten
                log.error("alert.queue_unavailable", sink=name, error=str(error))
                pause_s = _DISK_WAIT_S
            await self._pause(pause_s)

    async def _send_next(self, name: str, sink: AlertSink) -> bool:
        delivery = await self._in_thread(lambda: self._queue.next(name, self._clock_us()))
        if delivery is None:
            return False
        try:
            await sink.send(delivery.alert)
        except SinkError as error:
            await self._failed(delivery, error)
        except Exception as error:
            # A defect that one alert brings to light must not keep the others back.
            log.exception("alert.send_failed", alert=delivery.alert.alert_id, sink=name)
            await self._failed(delivery, SinkError(f"defect: {type(error).__name__}", refused=True))
        else:
            await self._in_thread(lambda: self._queue.delivered(delivery, self._clock_us()))
            DELIVERIES.labels(name, "delivered").inc()
            log.info("alert.delivered", alert=delivery.alert.alert_id, state=delivery.alert.state, sink=name)
        return True

    async def _failed(self, delivery: Delivery, error: SinkError) -> None:
        wait_us = backoff_us(delivery.attempts) if error.retry_after_s is None else _microseconds(error.retry_after_s)
        again = await self._in_thread(
            lambda: self._queue.failed(delivery, error.message, self._clock_us(), wait_us, alone=error.refused)
        )
        DELIVERIES.labels(delivery.sink, "failed" if again else "given_up").inc()
        log.error(
            "alert.undelivered",
            alert=delivery.alert.alert_id,
            sink=delivery.sink,
            attempt=delivery.attempts + 1,
            error=error.message,
            again_in_s=wait_us // _SECOND_US if again else None,
        )

    async def _in_thread(self, work: Callable[[], T]) -> T:
        async with self._database:  # one connection, so one at a time
            return await asyncio.to_thread(work)

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        except TimeoutError:
            pass


def backoff_us(attempts: int) -> int:
    """Returns how long to wait after so many attempts before this one failed: 1 s, 2, 4 ... 300, less up to half of it.

    The chance in it keeps many monitors from coming back to one receiver at the same moment.
    """
    longest_us = min(_FIRST_WAIT_US << min(attempts, 20), _LAST_WAIT_US)
    return int(longest_us * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)


def _microseconds(seconds: float) -> int:
    return min(int(seconds * _SECOND_US), LONGEST_WAIT_US)
