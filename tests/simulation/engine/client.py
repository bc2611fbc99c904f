"""What the code sees of Redis: a client as redis-py's, and a subscriber as FastStream's, over the simulated server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from driftline.transport.redis import decode_batch
from driftline.worker.stream import Received
from tests.simulation.engine.loop import CURRENT, Crash
from tests.simulation.engine.server import Fields, Id, Server

_LATENCY_S = 0.003
_BLOCK_S = 0.5
_POLL_S = 0.1
_MAX_ENTRIES = 64
_BACKOFF_S = 5.0


class Network:
    """The way to the server, on which requests and answers get lost.

    Args:
        server: Where it leads.
        rng: Draws how long it takes, and what is lost.

    Attributes:
        loss: How probable it is that a request, or an answer, is lost.
    """

    def __init__(self, server: Server, rng: Random) -> None:
        self.server = server
        self.loss = 0.0
        self._rng = rng

    async def carry(self, commands: Iterable[Callable[[], Any]]) -> list[Any]:
        """Returns the answers to these commands; between two of them others may have theirs.

        Raises:
            RedisError: The server is away, or something got lost: the commands were done, or some, or none.
        """
        answers = []
        await asyncio.sleep(self._rng.random() * _LATENCY_S)
        for command in commands:
            process = CURRENT.get()
            if process is not None and not process.alive:
                raise Crash
            if self.server.away or self._rng.random() < self.loss:
                raise RedisConnectionError("connection lost")
            answers.append(command())
            if self._rng.random() < 0.1:
                await asyncio.sleep(self._rng.random() * _LATENCY_S)
        if self._rng.random() < self.loss:
            raise RedisTimeoutError("no answer")
        await asyncio.sleep(0)
        return answers


class Commands:
    """The commands that the code uses, each as a function that the server will do."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def info(self, section: str) -> dict[str, str]:
        return {"run_id": self._server.run_id}

    def time(self) -> tuple[int, int]:
        return self._server.now_ms() // 1000, self._server.now_ms() % 1000 * 1000

    def hgetall(self, key: str) -> Fields:
        return dict(self._server.hash(key.encode()))

    def hget(self, key: str, name: str) -> bytes | None:
        return self._server.hash(key.encode()).get(name.encode())

    def hmget(self, key: str, names: list[str]) -> list[bytes | None]:
        return [self._server.hash(key.encode()).get(name.encode()) for name in names]

    def hset(
        self, key: str, name: str | None = None, value: bytes = b"", mapping: Mapping[str, str] | None = None
    ) -> int:
        given = {name: value} if name is not None else {}
        self._server.hash(key.encode()).update(_fields({**given, **(mapping or {})}))
        return 0

    def hlen(self, key: str) -> int:
        return len(self._server.hash(key.encode()))

    def expire(self, key: str, seconds: int) -> int:
        return 1

    def xadd(self, stream: str, fields: Mapping[Any, Any]) -> bytes:
        return _text(self._server.xadd(_fields(fields)))

    def xdel(self, stream: str, *ids: bytes) -> int:
        return self._server.xdel({_id(each) for each in ids})

    def xrange(self, stream: str, start: str, count: int) -> list[tuple[bytes, Fields]]:
        first = (0, 0) if start == "-" else _id(start.removeprefix("(").encode())
        return _page(self._server.behind(first, count, including=not start.startswith("(")))

    def xread(self, last_id: str) -> list[tuple[bytes, Fields]]:
        return _page(self._server.behind(_id(last_id.encode()), _MAX_ENTRIES))

    def xinfo_stream(self, stream: str) -> dict[str, bytes]:
        return {"last-generated-id": _text(self._server.last_generated())}


class Client:
    """A connection as redis-py gives it: each command is awaited."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._commands = Commands(network.server)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        command = getattr(self._commands, name)

        async def ask(*arguments: Any, **named: Any) -> Any:
            return (await self._network.carry([lambda: command(*arguments, **named)]))[0]

        return ask

    def pipeline(self, *, transaction: bool) -> "Pipeline":
        assert not transaction
        return Pipeline(self._network, self._commands)

    async def aclose(self) -> None:
        """Nothing is open."""


class Pipeline:
    """Commands that are sent together; not a transaction."""

    def __init__(self, network: Network, commands: Commands) -> None:
        self._network = network
        self._commands = commands
        self._queue: list[Callable[[], Any]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        command = getattr(self._commands, name)
        return lambda *arguments, **named: self._queue.append(lambda: command(*arguments, **named))

    async def execute(self) -> list[Any]:
        queue, self._queue = self._queue, []
        return await self._network.carry(queue) if queue else []


class Subscriber:
    """FastStream's reader of the stream: from a last id on, a page at a time.

    Attributes:
        running: Whether it reads.
        last_id: It reads what is behind this.
    """

    def __init__(self, network: Network, handler: Callable[[list[Received]], Awaitable[None]]) -> None:
        self.running = False
        self.last_id = "0-0"
        self._network = network
        self._commands = Commands(network.server)
        self._handler = handler

    async def consume(self) -> None:
        while True:
            try:
                await self._read()
            except RedisError:
                await asyncio.sleep(_BACKOFF_S)

    async def _read(self) -> None:
        asked, waited_s = self.last_id, 0.0
        page: list[tuple[bytes, Fields]] = []
        while not page and waited_s < _BLOCK_S:
            page = (await self._network.carry([lambda: self._commands.xread(asked)]))[0]
            if not page:
                await asyncio.sleep(_POLL_S)
                waited_s += _POLL_S
        if page:
            self.last_id = page[-1][0].decode()
            await self._handler([Received(entry_id, decode_batch(fields)) for entry_id, fields in page])


class Broker:
    """FastStream's broker, with one subscriber."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._subscriber.running = True
        self._task = asyncio.create_task(self._subscriber.consume())

    async def stop(self) -> None:
        self._subscriber.running = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None


def _id(text: bytes) -> Id:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number or 0)


def _text(entry_id: Id) -> bytes:
    return b"%d-%d" % entry_id


def _page(entries: list[tuple[Id, Fields]]) -> list[tuple[bytes, Fields]]:
    return [(_text(entry_id), fields) for entry_id, fields in entries]


def _fields(mapping: Mapping[Any, Any]) -> Fields:
    return {_bytes(key): _bytes(value) for key, value in mapping.items()}


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
