"""The proxy passes everything on, until it is cut or stalled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from driftline.chaos.proxy import Proxy
from tests.waiting import eventually

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echoing() -> AsyncIterator[Proxy]:
    """A proxy before a server that answers with what it got."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def said(connection: Connection, text: bytes) -> bytes:
    reader, writer = connection
    writer.write(text)
    async with asyncio.timeout(5):
        return await reader.readexactly(len(text))


def test_what_is_sent_comes_back() -> None:
    async def check() -> None:
        async with echoing() as proxy:
            first = await asyncio.open_connection("127.0.0.1", proxy.port)
            second = await asyncio.open_connection("127.0.0.1", proxy.port)
            large = bytes(range(256)) * 4096
            assert await said(first, large) == large
            assert await said(second, b"x") == b"x"
            assert proxy.connections == 2
            first[1].close()
            await eventually(lambda: proxy.connections == 1)
            second[1].close()

    asyncio.run(check())


def test_cut_it_resets_what_there_is_and_what_comes_until_it_is_joined() -> None:
    async def check() -> None:
        async with echoing() as proxy:
            there = await asyncio.open_connection("127.0.0.1", proxy.port)
            await said(there, b"x")
            proxy.cut()
            proxy.cut()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await said(there, b"y")
            proxy.join()
            refused = await asyncio.open_connection("127.0.0.1", proxy.port)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await said(refused, b"y")
            proxy.join()
            again = await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await said(again, b"z") == b"z"
            for _, writer in (there, refused, again):
                writer.close()

    asyncio.run(check())


def test_stalled_it_takes_connections_and_bytes_and_lets_them_through_late() -> None:
    async def check() -> None:
        async with echoing() as proxy:
            there = await asyncio.open_connection("127.0.0.1", proxy.port)
            await said(there, b"x")
            proxy.stall()
            late = await asyncio.open_connection("127.0.0.1", proxy.port)
            answers = [asyncio.create_task(said(connection, b"held")) for connection in (there, late)]
            _, waiting = await asyncio.wait(answers, timeout=0.2)
            assert len(waiting) == 2
            proxy.flow()
            assert await asyncio.gather(*answers) == [b"held", b"held"]
            for _, writer in (there, late):
                writer.close()

    asyncio.run(check())


def test_without_a_server_behind_it_the_connection_is_reset() -> None:
    async def check() -> None:
        async with Proxy(1) as proxy:
            connection = await asyncio.open_connection("127.0.0.1", proxy.port)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await said(connection, b"x")
            connection[1].close()

    asyncio.run(check())
