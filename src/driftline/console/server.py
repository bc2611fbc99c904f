"""Serves the console in the loop of the process that monitors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import structlog
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from driftline.api.tls import Tls, check_tls
from driftline.console.app import Console
from driftline.console.config import ConsoleConfig
from driftline.errors import MonitorError, PortError
from driftline.ports import claim
from driftline.telemetry import GRANIAN_LOGGING

log = structlog.get_logger()

HEADERS_MAX_BYTES: Final = 64 * 1024
CONNECTIONS_MAX: Final = 512
LOOK_EVERY_S: Final = 0.01


class Serving(NamedTuple):
    """A console that is served.

    Attributes:
        port: Where.
        ended: Done when it is not served any more.
    """

    port: int
    ended: asyncio.Task[None]


async def serve_console(config: ConsoleConfig, host: str, port: int, tls: Tls | None) -> None:
    """Serves the console until it is cancelled; see :func:`serving_console`.

    Raises:
        MonitorError: Its server has ended by itself.
    """
    async with serving_console(config, host, port, tls) as serving:
        await asyncio.wait([serving.ended])
        raise MonitorError("the server of the console has ended by itself")


@asynccontextmanager
async def serving_console(
    config: ConsoleConfig, host: str, port: int, tls: Tls | None = None
) -> AsyncIterator[Serving]:
    """Serves the console within the ``async with``; when that begins, it takes connections.

    Args:
        config: What the console is told.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        tls: What HTTPS is served with; None serves HTTP.

    Raises:
        PortError: Nobody can listen there.
        TlsError: The certificate or its key is of no use.
    """
    try:
        address, port = claim(host, port)
    except PortError as error:
        reason = error.message.partition(";")[0]
        raise PortError(f"{reason}, where the console should be; --console-port chooses another") from error
    if tls is not None:
        check_tls(tls)
    console = Console(config)
    server = Server(
        console.app,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(keep_alive=True, max_buffer_size=HEADERS_MAX_BYTES),
        websockets=False,
        backpressure=CONNECTIONS_MAX,
        log_level=LogLevels.error,  # it would warn that it is new each time
        log_dictconfig=GRANIAN_LOGGING,
        ssl_cert=tls and tls.certificate,
        ssl_key=tls and tls.key,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    task = asyncio.create_task(server.serve(), name="console")
    try:
        await _until_it_listens(address, port, task)
        log.info("console.listening", host=host, port=port, tls=tls is not None, keys=config.keys is not None)
        yield Serving(port, task)
    finally:
        await console.stop()
        server.stop()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        await asyncio.wait([task])


async def _until_it_listens(address: str, port: int, server: asyncio.Task[None]) -> None:
    while not server.done():
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            writer.close()
            return
    raise PortError(f"the console cannot listen on {address} port {port}; --console-port chooses another")
