"""A small TCP proxy whose connections can be cut, or left open with nothing coming through."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

_CHUNK_BYTES: Final = 64 << 10


class Proxy:
    """Passes connections to a port of 127.0.0.1 on, until it is told otherwise.

    Args:
        target_port: Where they go.

    Attributes:
        port: Where it listens, once it is entered.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._cuts = 0
        self._stalls = 0
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._writers) // 2

    def drop(self) -> None:
        """Resets all connections; new ones are welcome."""
        for writer in self._writers:
            writer.transport.abort()

    def cut(self) -> None:
        """Resets all connections and each new one, until :meth:`join`. Cuts add up."""
        self._cuts += 1
        self.drop()

    def join(self) -> None:
        """Takes back one :meth:`cut`."""
        self._cuts -= 1

    def stall(self) -> None:
        """Lets nothing through, and says so to nobody, until :meth:`flow`. Stalls add up."""
        self._stalls += 1
        self._flowing.clear()

    def flow(self) -> None:
        """Takes back one :meth:`stall`; what was held arrives late."""
        self._stalls -= 1
        if not self._stalls:
            self._flowing.set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cuts:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(there_writer)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink, (writer, there_writer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK_BYTES):
                await self._flowing.wait()
                sink.write(chunk)
                await sink.drain()
        await self._flowing.wait()  # over a dead network nobody hears that the other side has gone
        for writer in both:
            writer.transport.abort()
            self._writers.discard(writer)
