"""A listener in this process, in a loop and a thread of its own, spoken to over real sockets."""

import asyncio
import concurrent.futures
import itertools
import json
import re
import shutil
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from prometheus_client import REGISTRY

from driftline.api.admission import Admission, Gate
from driftline.api.app import FORMS, PREDICT, create_app
from driftline.api.config import ApiConfig
from driftline.api.connection import Connection
from driftline.api.fast_path import FastPath
from driftline.api.keeper import Keeper
from driftline.api.listener import Listener
from driftline.api.predict import Predictor
from driftline.api.process import ALWAYS
from driftline.api.routes import Routes
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from tests.api.api_process import EXAMPLE, status_of

T = TypeVar("T")
MAX_BODY_BYTES = 1000
SMALL_BYTES = 16 << 10
GONE = ("producer", "seq", "timestamp", "crc32")


def post(body: bytes = EXAMPLE, *headers: bytes, path: bytes = b"/predict", version: bytes = b"1.1") -> bytes:
    """A request for a prediction."""
    lines = [b"POST %b HTTP/%b" % (path, version), b"Host: x", *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


def get(path: bytes = b"/health/live", *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: x", *headers, b"", b""])


class Stand:
    """One service that is listened for.

    Args:
        directory: Of its outbox.
        fast: Whether there is a fast path, or the application alone.
        outbox: Makes the outbox, in the directory that is given.
        durable: Whether answers wait for a sync.
        serve_unlogged: Answer what cannot be kept.
        max_in_flight: Of the gate.
        keep_alive_s: Of the listener.
        connections_max: Of the listener.
        tls: What HTTPS is served with.
        config: Further settings.
    """

    def __init__(
        self,
        directory: Path,
        *,
        fast: bool = True,
        outbox: Callable[[OutboxRoot], Outbox] = Outbox,
        durable: bool = False,
        serve_unlogged: bool = False,
        max_in_flight: int = 32,
        keep_alive_s: float = 75.0,
        connections_max: int = 1000,
        tls: ssl.SSLContext | None = None,
        **config: Any,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.root = OutboxRoot(directory / "kept")
        self.root.create()
        self.outbox = outbox(self.root)
        self.gate = Gate(max_in_flight)
        self.listener: Listener
        self.fast_path: FastPath | None = None
        self._fast, self._durable, self._serve_unlogged = fast, durable, serve_unlogged
        self._keep_alive_s, self._connections_max, self._tls = keep_alive_s, connections_max, tls
        fixed = {"outbox_sync": "os", "outbox_max_bytes": 1 << 20, "outbox_segment_max_bytes": 1 << 20}
        settings: dict[str, Any] = {"model": None, "max_body_bytes": MAX_BODY_BYTES, **fixed, **config}
        self._config = ApiConfig(
            "t", directory / "outbox", directory / "logs", None, broker_timeout_s=1.0, flush_s=0.0, **settings
        )
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BYTES)
        self.port: int = self._socket.getsockname()[1]
        up: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve(up)))
        self._thread.start()
        up.result(20)

    async def _serve(self, up: "concurrent.futures.Future[None]") -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        service, guard, app = create_app(self._config)
        async with app.router.lifespan_context(app):
            numbers = itertools.count(1)
            service.keeper = Keeper(
                self.outbox,
                durable=self._durable,
                serve_unlogged=self._serve_unlogged,
                make_id=lambda: f"01a20a66-e670-7344-9870-{next(numbers):012x}",
            )
            roster, most = service.roster, self._config.max_body_bytes
            service.predict = Predictor(roster.default, service.keeper, max_body_bytes=most, chosen=roster.chosen)
            self.service = service
            self.fast_path = FastPath(PREDICT, service, self.gate, guard, max_body_bytes=most) if self._fast else None
            self.listener = Listener(
                Admission(app, self.gate, ALWAYS, Routes(app.routes, FORMS)),
                keep_alive_s=self._keep_alive_s,
                connections_max=self._connections_max,
                fast_path=self.fast_path,
            )
            await self.listener.listen(self._socket, self._tls)
            up.set_result(None)
            await self._ended.wait()
            await self.listener.close(at_most_s=0.5)
            if self.fast_path is not None:
                await self.fast_path.close()
            await self.outbox.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns that is run in the loop of the listener."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def call(self, work: Callable[[], T]) -> T:
        """What a function returns that is called in that loop."""

        async def called() -> T:
            return work()

        return self.run(called())

    def turns(self, turns: int = 5) -> None:
        """Returns when the loop has been round so often, and so has read what was sent to it before."""
        for _ in range(turns):
            self.call(lambda: None)

    def hold(self, until: threading.Event) -> None:
        """Holds the loop up until the event, so that all that is sent meanwhile is found by one turn."""
        begun = threading.Event()

        def wait() -> None:
            begun.set()
            until.wait(20)

        self._loop.call_soon_threadsafe(wait)
        begun.wait(20)

    def connect(self) -> socket.socket:
        """A connection on whose way there is little room."""
        connection = socket.socket()
        connection.settimeout(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
        connection.connect(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def lines(self, since_seq: int = 0) -> list[bytes]:
        """What is in the outbox, from the event on that has this seq."""
        found: list[bytes] = []
        for producer in self.root.producers():
            reader = OutboxReader(self.root, producer)
            reader.seek(since_seq)
            while chunk := reader.read(1000, 1 << 20).events:
                found += chunk
            reader.close()
        return found

    def events(self, since_seq: int = 0) -> list[dict[str, Any]]:
        """The same as they are read, without what differs from one outbox and moment to another."""
        events = [json.loads(line) for line in self.lines(since_seq)]
        return [{name: value for name, value in event.items() if name not in GONE} for event in events]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._socket.close()


def no_directory(root: OutboxRoot) -> Outbox:
    """An outbox that can keep nothing."""
    shutil.rmtree(root.path)
    return Outbox(root)


@contextmanager
def stand(directory: Path, **settings: Any) -> Iterator[Stand]:
    """A stand, which ends with the block."""
    made = Stand(directory, **settings)
    try:
        yield made
    finally:
        made.close()


def receive_until(connection: socket.socket, count: int = sys.maxsize) -> list[bytes]:
    """So many answers, or what came before the connection ended; a reset is an error."""
    found: list[bytes] = []
    rest = b""
    while len(found) < count:
        length = _answer_bytes(rest)
        if length:
            found.append(rest[:length])
            rest = rest[length:]
        elif chunk := connection.recv(65536):
            rest += chunk
        else:
            break
    return [*found, rest] if rest else found


def _answer_bytes(received: bytes) -> int:
    """The length of the first answer, or 0 if it is not whole."""
    head, end, _ = received.partition(b"\r\n\r\n")
    found = re.search(rb"\r\ncontent-length: (\d+)", head)
    length = len(head + end) + (int(found[1]) if found else 0)
    return length if end and length <= len(received) else 0


def counted(names: Sequence[str] = ()) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The counters that answers move, by name and labels; of how long they take, the count."""
    wanted = {
        "driftline_requests_total",
        "driftline_events_accepted_total",
        "driftline_events_refused_total",
        "driftline_events_unlogged_total",
        "driftline_request_duration_seconds_count",
        *names,
    }
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name in wanted
    }


def moved(
    before: dict[tuple[str, tuple[tuple[str, str], ...]], float],
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """By how much each has moved since, where it has."""
    return {name: value - before.get(name, 0) for name, value in counted().items() if value != before.get(name, 0)}


CHUNKED = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(EXAMPLE),
    EXAMPLE,
)
KINDS = {
    "predict": (post(), 200),
    "refused": (post(b"{}"), 422),
    "empty": (post(b""), 422),
    "chunked": (CHUNKED, 200),
    "query": (post(path=b"/predict?a=b"), 200),
    "health": (get(), 200),
    "nothing": (get(b"/nothing"), 404),
    "method": (get(b"/predict"), 405),
    "upgrade": (post(EXAMPLE, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"), 200),
}
HEAD, BODY = post()[: -len(EXAMPLE)], EXAMPLE
INVALID_URL = b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n"
TIGHT: dict[str, Any] = {"keep_alive_s": 1.0, "connections_max": 3, "max_in_flight": 1}


def statuses(received: Sequence[bytes]) -> list[int]:
    return [status_of(each) for each in received]


def ask(made: Stand, sent: bytes, *, half_close: bool = False, at_once: bool = False) -> list[bytes]:
    """All answers until the server closes; an error if it does not, or resets.

    Args:
        made: Who is asked.
        sent: What is sent, by one write.
        half_close: Whether the client says that it will send nothing more.
        at_once: Whether the server finds the end at the moment at which it finds what came before.
    """
    with made.connect() as connection:
        if not at_once:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return receive_until(connection)
        go_on = threading.Event()
        made.turns()  # so that the connection is there
        made.hold(go_on)
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        go_on.set()
        return receive_until(connection)


def closes(answer: bytes) -> bool:
    return b"\r\nconnection: close\r\n" in answer.partition(b"\r\n\r\n")[0] + b"\r\n"


def held_back(made: Stand) -> list[Connection]:
    """The connections whose clients do not take what they are sent."""
    return made.call(lambda: [each for each in connections(made) if each.flow.write_paused])


def connections(made: Stand) -> list[Connection]:
    return [each for each in made.listener.state.connections if isinstance(each, Connection)]
