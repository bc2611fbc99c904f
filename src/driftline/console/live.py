"""Tells open pages that there is something new: server-sent events."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from driftline.console.reading import reading
from driftline.errors import MonitorError
from driftline.monitor.history import AlertHistory

LOOK_EVERY_S: Final = 1.0
TRAFFIC_EVERY_US: Final = 5_000_000
SILENCE_S: Final = 20.0
"""After so long a comment is sent: what is between us and a browser may close what looks dead."""


class Live:
    """Looks at the store once a second, however many pages are open, and not at all when none is.

    Args:
        store: The monitor's file.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._stopped = False

    async def events(self) -> AsyncIterator[bytes]:
        """Yields events for one page, until it goes away or the console stops."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=16)
        self._listeners.add(queue)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="console.live")
        try:
            yield b"retry: 2000\n\n"
            while not self._stopped:
                try:
                    event = await asyncio.wait_for(queue.get(), SILENCE_S)
                except TimeoutError:
                    event = b": still here\n\n"
                if event is None:
                    return
                yield event
        finally:
            self._listeners.discard(queue)
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def stop(self) -> None:
        """Ends all streams, so that nobody waits for them when the server stops."""
        self._stopped = True
        for queue in self._listeners:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(None)

    async def _look(self) -> None:
        seen = await asyncio.to_thread(signature, self._store)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            found = await asyncio.to_thread(signature, self._store)
            if found != seen:
                name = "alert" if found[1] != seen[1] else "change"
                seen = found
                self._send(name)

    def tell(self) -> None:
        """Has all open pages fetched again."""
        self._send("change")

    def _send(self, name: str) -> None:
        for queue in self._listeners:
            with suppress(asyncio.QueueFull):  # a page that does not listen gets the next one
                queue.put_nowait(f"event: {name}\ndata: {{}}\n\n".encode())


def signature(store: Path) -> tuple[object, ...]:
    """Returns what differs when there is something new to see: a window, an alert, a phase; traffic now and then."""
    try:
        with reading(store) as found:
            connection = found.connection
            meta = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('phase', 'profile', 'trouble')"))
            return (
                connection.execute("SELECT max(window) FROM windows").fetchone()[0],
                tuple(alert.alert_id for alert in AlertHistory(connection).firing()),
                tuple(sorted(meta.items())),
                (connection.execute("SELECT max(at_us) FROM traffic").fetchone()[0] or 0) // TRAFFIC_EVERY_US,
            )
    except (MonitorError, sqlite3.Error):
        return (None, (), (), 0)
