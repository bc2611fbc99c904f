"""Where connections come from, and what they share: who answers, the date, and when they are closed."""

import asyncio
import logging
import math
import socket
import ssl
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from driftline.api.connection import Connection
from driftline.api.handover import BACKLOG
from driftline.api.wire import head_of
from driftline.contract.problems import Answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from driftline.api.fast_path import FastPath

log = structlog.get_logger()

HANDSHAKE_S: Final = 5.0
SHUTDOWN_S: Final = 1.0
TICK_S: Final = 0.25
TICKS: Final = 4  # in which all connections are looked at, if they are too many for one
LOOKS: Final = 1000  # of one tick at least: a millisecond
CLOSE_S: Final = 3.0
_POLL_S: Final = 0.02


class Listener:
    """Takes connections and has them answered, in the loop that makes it.

    Args:
        app: Answers; its lifespan is the caller's.
        keep_alive_s: How long a connection may be idle, or take over the head of a request.
        connections_max: Clients beyond that are sent away.
        fast_path: Answers what it can without the application; None has all answered by it.

    Attributes:
        date: The header that all answers have, with its line break.
    """

    def __init__(
        self, app: "ASGIApp", *, keep_alive_s: float, connections_max: int, fast_path: "FastPath | None" = None
    ) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self.config: Final = _config(app)
        self.state: Final = ServerState()
        self.fast_path: Final = fast_path
        self.keep_alive_s: Final = keep_alive_s
        self.date = b""
        self._ends: Final[dict[tuple[int, tuple[tuple[str, str], ...], bool], tuple[bytes, bytes]]] = {}
        self._connections_max: Final = connections_max
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._dated = -math.inf
        self._unseen: list[Connection] = []  # are to be looked at
        self._slice = 0
        self._tick()

    async def listen(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Returns when connections are taken.

        Args:
            listening: The socket, which stays the caller's; it may be shared with others.
            tls: What HTTPS is served with; None serves HTTP.
        """
        self._server = await self.loop.create_server(
            partial(Connection, self),
            sock=listening.dup(),
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_S if tls else None,
            ssl_shutdown_timeout=SHUTDOWN_S if tls else None,
        )

    def take_no_more(self) -> None:
        """Takes no connections from here on; those that are there stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def close(self, at_most_s: float = CLOSE_S) -> None:
        """Takes no more connections, and closes those that are there: each with the answer that is on its way.

        Args:
            at_most_s: What is not answered by then is cut off.
        """
        self.take_no_more()
        deadline = self.loop.time() + at_most_s
        silent = {each for each in self._connections() if each.scheme == "https" and each.is_idle}
        for connection in self._connections():
            connection.shutdown()
        await asyncio.sleep(_POLL_S)
        for connection in self._connections():
            if connection in silent and not connection.transport.get_write_buffer_size():
                connection.transport.abort()  # it knows; that it says so, too, would have to be waited for
        while self.state.connections and self.loop.time() < deadline:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(_POLL_S)
        for connection in self._connections():
            connection.transport.abort()
        for task in tuple(self.state.tasks):
            task.cancel()
        await asyncio.gather(*self.state.tasks, return_exceptions=True)
        if self._ticker is not None:
            self._ticker.cancel()

    @property
    def open_connections(self) -> int:
        """How many there are."""
        return len(self.state.connections)

    def hand_over_bodies(self) -> None:
        """Has the application wait for the bodies that are on their way."""
        for connection in self._connections():
            connection.hand_over()

    # -- for connections

    def admit(self, connection: Connection) -> None:
        """Sends a client away if there are too many."""
        if len(self.state.connections) > self._connections_max:
            connection.turn_away()

    def response(self, answer: Answer, *, last: bool) -> bytes:
        """Returns the bytes of an answer of the fast path's."""
        key = answer.status, answer.headers, last
        ends = self._ends.get(key)
        if ends is None:
            assert self.fast_path is not None
            ends = self._ends[key] = head_of(answer, self.date, path=self.fast_path.path, last=last)
        return b"%b%d%b%b" % (ends[0], len(answer.body), ends[1], answer.body)

    def _tick(self) -> None:
        self._ticker = self.loop.call_later(TICK_S, self._tick)  # whatever becomes of this one
        now = self.loop.time()
        if now - self._dated >= 1:
            self._dated = now
            date = formatdate(usegmt=True).encode()
            self.date = b"date: " + date + b"\r\n"
            self._ends.clear()
            self.state.default_headers = [(b"date", date)]
        if not self._unseen:
            self._unseen = self._connections()
            self._slice = max(LOOKS, math.ceil(len(self._unseen) / TICKS))
        seen = self._unseen[-self._slice :]
        del self._unseen[-self._slice :]
        for connection in seen:
            if connection in self.state.connections:
                self._look(connection, now)

    def _look(self, connection: Connection, now: float) -> None:
        try:
            connection.look(now)
        except Exception as error:  # which must not leave the others without an end
            log.error("connection.failed", exc_info=error)
            connection.transport.abort()

    def _connections(self) -> list[Connection]:
        return [each for each in self.state.connections if isinstance(each, Connection)]


def _config(app: Any) -> Config:
    config = Config(
        app,
        http=Connection,
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    config.load()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return config
