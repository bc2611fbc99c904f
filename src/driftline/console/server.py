"""Serves the console in the loop of the process that monitors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from driftline.api.listener import Listener
from driftline.api.tls import Tls, check_tls, load_tls
from driftline.console.app import Console
from driftline.console.config import ConsoleConfig
from driftline.errors import PortError
from driftline.ports import bind

log = structlog.get_logger()

CONNECTIONS_MAX: Final = 512
KEEP_ALIVE_S: Final = 75.0


async def serve_console(config: ConsoleConfig, host: str, port: int, tls: Tls | None) -> None:
    """Serves the console until it is cancelled; see :func:`serving_console`."""
    async with serving_console(config, host, port, tls):
        await asyncio.Event().wait()


@asynccontextmanager
async def serving_console(config: ConsoleConfig, host: str, port: int, tls: Tls | None = None) -> AsyncIterator[int]:
    """Serves the console within the ``async with``, on a port that it says; when that begins, it takes connections.

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
        listening = bind(host, port)
    except PortError as error:
        reason = error.message.partition(";")[0]
        raise PortError(f"{reason}, where the console should be; --console-port chooses another") from error
    with listening:
        if tls is not None:
            check_tls(tls)
        console = Console(config)
        listener = Listener(console.app, keep_alive_s=KEEP_ALIVE_S, connections_max=CONNECTIONS_MAX)
        await listener.listen(listening, tls and load_tls(tls))
        try:
            log.info("console.listening", host=host, port=port, tls=tls is not None, keys=config.keys is not None)
            yield int(listening.getsockname()[1])
        finally:
            await console.stop()
            await listener.close()
