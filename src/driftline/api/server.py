"""Serving the application with Granian: one process that watches, and those that answer."""

import asyncio
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from fastapi import FastAPI
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from driftline.api.app import create_app
from driftline.api.config import ApiConfig
from driftline.api.keys import read_keys
from driftline.api.metrics import forget_dead_processes
from driftline.api.rates import make_rates
from driftline.api.service import Service, make_sender
from driftline.api.tls import Tls, check_tls
from driftline.errors import KeysError, PortError
from driftline.outbox.root import OutboxRoot
from driftline.ports import Address, claim
from driftline.scoring import load_package, seed_package
from driftline.supervisor import follow_parent
from driftline.telemetry import GRANIAN_LOGGING, METRICS_VARIABLE, configure_logging

log = structlog.get_logger()

HEADERS_MAX_BYTES: Final = 64 * 1024
HEADERS_TIMEOUT_S: Final = 10
DRAIN_S: Final = 1.0
KILL_AFTER_S: Final = 8


def serve(config: ApiConfig, host: str, port: int, processes: int, tls: Tls | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit code: 0, or 1 if the processes die as soon as they start.

    Args:
        config: What the processes are told.
        host: Address to listen on.
        port: Port to listen on.
        processes: How many processes answer requests.
        tls: What HTTPS is served with; None serves HTTP.

    Raises:
        TlsError: The certificate or its key is of no use.
        KeysError: The file with the API keys cannot be read, or holds none.
        ModelError: The model package is wrong.
        BrokerError: The broker's URL is not one of Redis.
        OutboxUnavailableError: The directory of the outboxes cannot be made.
        PortError: Nobody can listen on that address and port, or somebody does already.
    """
    # What would fail in each process fails here, once, before any is started.
    load_package(config.model or seed_package())
    OutboxRoot(config.outbox_dir).create()
    make_sender(config)
    if tls is not None:
        check_tls(tls)
    if config.keys is not None:
        config = replace(config, rates=prepare_keys(config.keys))
    if config.metrics is not None:
        claim_metrics(config.metrics)
    address = claim(host, port).host
    server = Granian(
        "driftline",
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        workers=processes,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADERS_TIMEOUT_S * 1000, keep_alive=True, max_buffer_size=HEADERS_MAX_BYTES
        ),
        ssl_cert=tls and tls.certificate,
        ssl_key=tls and tls.key,
        ssl_protocol_min=SSLProtocols.tls12,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_AFTER_S,
        log_level=LogLevels.warning,
        log_dictconfig=GRANIAN_LOGGING,
    )
    log.info("api.listening", host=host, port=port, processes=processes, tls=tls is not None, keys=bool(config.keys))
    try:
        server.serve(target_loader=partial(load_app, config, os.getpid()), wrap_loader=False)
    except SystemExit as stop:
        # Ctrl-C reaches the processes too, and one that ends before it is told to counts as crashed.
        return 0 if server.interrupt_signal else int(stop.code or 0)
    return 0


def prepare_keys(keys: Path) -> Path:
    """Returns the file in which the processes will share how often each key has asked.

    Raises:
        KeysError: The file with the keys cannot be read, or holds none.
        OSError: The shared file cannot be made.
    """
    if not read_keys(keys):
        raise KeysError(f"there is no key in {keys}, so nobody could ask; `driftline keys add NAME` draws one")
    # Where the processes share their counters, which is in memory where there is such a place.
    return make_rates(Path(os.environ[METRICS_VARIABLE]) / "rates")


def claim_metrics(address: Address) -> None:
    """Returns if the processes will be able to serve their metrics there.

    Raises:
        PortError: They will not.
    """
    try:
        claim(*address)
    except PortError as error:
        reason = error.message.partition(";")[0]
        raise PortError(
            f"{reason}, where the metrics of the API should be; api_metrics_port chooses another"
        ) from error


def load_app(config: ApiConfig, parent: int) -> FastAPI:
    """Returns the application; called in each new process.

    Args:
        config: What the process is told.
        parent: The process that watches: when it dies, this one stops.
    """
    # A forked process begins with its parent's handlers, which would swallow a signal that comes before Granian's own.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    configure_logging(config.log_format)
    follow_parent(parent)
    forget_dead_processes()
    return create_app(config, when_started=stop_in_two_steps)


def stop_in_two_steps(service: Service) -> None:
    """Makes SIGTERM say "not ready" first, and stop the server only when no request is in flight.

    Granian's own handler, the same for SIGTERM and SIGINT, closes the listening socket at once, so that no load
    balancer could be told. It stays in place for SIGINT, which is what ends the first step.
    """
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        await service.drain(DRAIN_S)
        signal.raise_signal(signal.SIGINT)

    def on_sigterm() -> None:
        service.stop_soon()
        if not draining:
            draining.append(loop.create_task(drain(), name="drain"))

    loop.add_signal_handler(signal.SIGTERM, on_sigterm)
