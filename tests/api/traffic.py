"""Clients that ask without a pause, and say precisely what became of each request."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from tests.api.api_process import EXAMPLE, is_whole, status_of
from tests.waiting import wait_until

_HEAD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
HEAD = _HEAD % (b"/predict", len(EXAMPLE))
AGAIN = HEAD + b"\r\n" + EXAMPLE


class Traffic:
    """Clients in threads, from the beginning of the ``with`` to its end.

    Args:
        port: Of the server, on 127.0.0.1.
        keep_alive: Whether a connection is used again, as long as the server leaves it open.
        clients: How many there are.
        body: What they send.
        path: To where.

    Attributes:
        answers: Status codes, in no order.
        failures: What happened to requests that were sent and not answered.
        refused: How often there was no connection; no request was sent then.
    """

    def __init__(
        self, port: int, *, keep_alive: bool, clients: int = 8, body: bytes = EXAMPLE, path: bytes = b"/predict"
    ) -> None:
        self.answers: list[int] = []
        self.failures: list[str] = []
        self.refused = 0
        self._port = port
        self._keep_alive = keep_alive
        last = b"" if keep_alive else b"Connection: close\r\n"
        self._request = _HEAD % (path, len(body)) + last + b"\r\n" + body
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection: socket.socket | None = None
        while not self._stopping.is_set():
            if connection is None or _is_closed(connection):
                connection = self._connect()
                if connection is None:
                    continue
            try:
                response = _exchange(connection, self._request)
            except OSError as error:
                self.failures.append(str(error))
                connection = None
                continue
            self.answers.append(status_of(response))
            if not self._keep_alive or b"\r\nconnection: close" in response.lower():
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _connect(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self._port), timeout=10)
        except OSError:
            self.refused += 1
            self._stopping.wait(0.01)
            return None


def connect(port: int) -> socket.socket:
    """A connection that waits for an answer, but not for ever."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)


@contextmanager
def begun_bodies(port: int, many: int, length: int = 10_000) -> Iterator[list[socket.socket]]:
    """That many connections whose request has been let in and whose body, so long, is awaited.

    Each is there before the next begins, so that they are no crush in which some would be refused.
    """
    head = _HEAD % (b"/predict", length) + b"Expect: 100-continue\r\n\r\n"
    with ExitStack() as closing:

        def begin() -> socket.socket | None:
            connection = closing.enter_context(connect(port))
            connection.sendall(head)
            return connection if connection.recv(65536).startswith(b"HTTP/1.1 100 ") else None

        yield [connection for _ in range(many) if (connection := wait_until(begin))]


def _is_closed(connection: socket.socket) -> bool:
    """What every pool of connections asks before it uses one again: whether the server has closed it meanwhile."""
    return bool(select.select([connection], [], [], 0)[0])


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    response = b""
    while not is_whole(response):
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionResetError(f"closed after {len(response)} bytes")
        response += chunk
    return response
