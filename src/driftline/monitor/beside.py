"""What runs beside the following of the log, each with a connection of its own to the store."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from driftline.monitor.alarms import Alarms
from driftline.monitor.courier import Courier
from driftline.monitor.delivery import DeliveryQueue
from driftline.monitor.operations import Operations
from driftline.monitor.sink import AlertSink
from driftline.monitor.store import MonitorStore
from driftline.monitor.traffic import Source, TrafficLog

log = structlog.get_logger()

LOOK_EVERY_S: Final = 5.0


async def deliver(store: Path, sinks: Mapping[str, AlertSink], *, finish_within_s: float) -> None:
    """Sends alerts until it is cancelled; what is just being sent is finished and recorded.

    Args:
        store: The monitor's file.
        sinks: By name.
        finish_within_s: How long that may take.
    """
    with MonitorStore(store) as opened:
        courier = Courier(DeliveryQueue(opened.connection), sinks, _now_us)
        sending = asyncio.create_task(courier.run(), name="courier")
        try:
            await asyncio.shield(sending)
        finally:
            courier.stop()
            await asyncio.wait([sending], timeout=finish_within_s)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def watch_traffic(
    store: Path,
    source: Source,
    make_alarms: Callable[[MonitorStore, str], Alarms],
    width_us: int,
    page: str | None,
) -> None:
    """Writes down how the API fares, and judges it, until it is cancelled.

    Args:
        store: The monitor's file.
        source: Gives the API's metrics.
        make_alarms: Makes what opens and closes alerts, of the store and the id of the log.
        width_us: Length of a window.
        page: Address of the page that shows it.
    """
    with MonitorStore(store) as opened:
        traffic = TrafficLog(opened, source, _now_us)
        operations: Operations | None = None
        while True:
            try:
                await asyncio.to_thread(traffic.look)
                if operations is None and (log_id := opened.meta().get("log_id")) is not None:
                    operations = Operations(opened, make_alarms(opened, log_id), width_us, page)
                if operations is not None:
                    await asyncio.to_thread(operations.judge, _now_us())
            except sqlite3.Error as error:  # a full disk, or a transaction that takes long
                log.error("traffic.not_kept", error=str(error))
            await asyncio.sleep(LOOK_EVERY_S)


def _now_us() -> int:
    return time.time_ns() // 1000
