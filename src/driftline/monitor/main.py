"""The monitor process: follows the log until it is asked to stop."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from driftline.durable import leads_to, lock_directory, make_directory
from driftline.errors import LogError, MonitorError
from driftline.monitor.follow import Follower
from driftline.monitor.store import FILE_NAME, MonitorStore
from driftline.probes import HealthServer

log = structlog.get_logger()

IDLE_S: Final = 0.5
RETRY_S: Final = 5.0
STANDBY_S: Final = 1.0
LOOK_S: Final = 2.0
"""Between looks at what is served: no more than a window waits after its end, so none is judged as another's."""

Beside = Callable[[], Awaitable[None]]
"""What runs beside the following, such as the console; it is cancelled at the stop."""


class Monitor:
    """One monitor of one data folder.

    Args:
        folder: Where it keeps what it knows; locked while it runs, so that a second one waits.
        make_follower: Makes what follows the log, over an open store.
        beside: What runs beside it, once the store is open.
        changed: Whether something else is to be watched since it was asked last: then a new follower is made.
    """

    def __init__(
        self,
        folder: Path,
        make_follower: Callable[[MonitorStore], Follower],
        beside: Sequence[Beside] = (),
        changed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._folder = folder
        self._make_follower = make_follower
        self._beside = beside
        self._changed = changed
        self._reason = "it is starting"

    @property
    def reason(self) -> str:
        """Why it is not ready; empty if it is."""
        return self._reason

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows until ``stopping`` is set; a store that cannot be used is waited for.

        Raises:
            MonitorError: The folder cannot be used, or was removed.
        """
        lock = await self._lock(stopping)
        if lock is None:
            return
        with contextlib.ExitStack() as held:
            held.callback(os.close, lock)
            store = await self._open(stopping)
            if store is None:
                return
            held.enter_context(store)
            beside = [asyncio.create_task(_as_coroutine(each)) for each in self._beside]
            following = asyncio.create_task(self._follow(store, lock, stopping))
            try:
                await asyncio.wait([following, *beside], return_when=asyncio.FIRST_COMPLETED)
                for task in beside:
                    if task.done():
                        task.result()  # it was to run on; says why it did not
            finally:
                stopping.set()
                await asyncio.gather(following, return_exceptions=True)
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
            following.result()

    async def _lock(self, stopping: asyncio.Event) -> int | None:
        try:
            make_directory(self._folder)
        except OSError as error:
            raise MonitorError(f"cannot use {self._folder}: {error.strerror}") from error
        waiting = False
        while not stopping.is_set():
            lock = await asyncio.to_thread(lock_directory, self._folder)
            if lock is not None:
                return lock
            if not waiting:
                log.info("monitor.standby", folder=str(self._folder))
                self._reason = "another monitor has the folder"
            waiting = True
            await _pause(stopping, STANDBY_S)
        return None

    async def _open(self, stopping: asyncio.Event) -> MonitorStore | None:
        """Opens the store as soon as it can be: one that cannot be must not end what serves, under the same ``up``."""
        while not stopping.is_set():
            try:
                return MonitorStore(self._folder / FILE_NAME, create=True)
            except MonitorError as error:
                self._hindered(error.message)
            await _pause(stopping, RETRY_S)
        return None

    def _hindered(self, reason: str) -> None:
        if reason != self._reason:
            log.error("monitor.hindered", error=reason)
        self._reason = reason

    async def _follow(self, store: MonitorStore, lock: int, stopping: asyncio.Event) -> None:
        follower = self._make_follower(store)
        log.info("monitor.started")
        looked_s = time.monotonic()
        while not stopping.is_set():
            if not leads_to(self._folder, lock):
                raise MonitorError(f"{self._folder} was removed or replaced while the monitor was running")
            if time.monotonic() - looked_s >= LOOK_S:
                if await asyncio.to_thread(self._changed):
                    follower.close()
                    follower = self._make_follower(store)
                looked_s = time.monotonic()
            try:
                advanced = await asyncio.to_thread(follower.step)
                self._reason = "" if follower.phase != "unfit_reference" else follower.trouble
            except (LogError, sqlite3.Error) as error:
                reason = error.message if isinstance(error, LogError) else f"the store refuses: {error}"
                self._hindered(reason)
                # What was thought of, and could not be written down, is thought of again.
                follower.close()
                follower = self._make_follower(store)
                await _pause(stopping, RETRY_S)
                continue
            if not advanced:
                await _pause(stopping, IDLE_S)
        follower.close()
        log.info("monitor.stopped")


async def run_monitor(monitor: Monitor, *, metrics_host: str, metrics_port: int | None) -> None:
    """Runs a monitor until SIGTERM or SIGINT, with its metrics and health beside it.

    Args:
        monitor: Which one.
        metrics_host: Where metrics and health are served.
        metrics_port: The port for it; None for no such server.

    Raises:
        MonitorError: The folder cannot be used, or was removed.
        PortError: The port for metrics cannot be had.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    health = None
    if metrics_port is not None:
        health = HealthServer(metrics_host, metrics_port, lambda: monitor.reason, "--monitor-metrics-port")
    try:
        await monitor.run(stopping)
    finally:
        if health is not None:
            health.close()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def _as_coroutine(beside: Beside) -> None:
    await beside()
