"""Serving the application with Granian: one process that watches, and those that answer."""

import asyncio
import gc
import os
import resource
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from starlette.types import ASGIApp

from driftline.api.admission import Admission, Gate
from driftline.api.app import FORMS, create_app
from driftline.api.config import ApiConfig
from driftline.api.guard import OPEN
from driftline.api.handover import Handover
from driftline.api.keys import read_keys
from driftline.api.launcher import Launcher
from driftline.api.lineup import draw_up
from driftline.api.metrics import ACCEPTED
from driftline.api.processes import Processes
from driftline.api.rates import make_rates
from driftline.api.reload import loader
from driftline.api.routes import Routes
from driftline.api.service import Service, make_sender
from driftline.api.tls import Tls, check_tls, load_tls
from driftline.api.trial import try_apart
from driftline.contract.package import seed_package
from driftline.errors import DriftlineError, KeysError, PortError
from driftline.outbox.root import OutboxRoot
from driftline.ports import Address, claim
from driftline.supervisor import follow_parent, is_hung_up
from driftline.telemetry import GRANIAN_LOGGING, METRICS_VARIABLE, configure_logging

log = structlog.get_logger()

HEADERS_MAX_BYTES: Final = 64 * 1024
DRAIN_S: Final = 1.0
HANDSHAKES_S: Final = 0.2
KILL_AFTER_S: Final = 8
CONNECTIONS_MAX: Final = 16_000
FILES_SPARE: Final = 200
GC_THRESHOLDS: Final = (20_000, 20, 20)
ALWAYS: Final = (*OPEN, "/metrics")


def serve(config: ApiConfig, host: str, port: int, processes: int, tls: Tls | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit code: 0, or 1 if the processes cannot even start.

    SIGHUP replaces the processes one by one. One that dies after it has served is started again, however often.

    Args:
        config: What the processes are told.
        host: Address to listen on.
        port: Port to listen on.
        processes: How many processes answer requests.
        tls: What HTTPS is served with; None serves HTTP.

    Raises:
        TlsError: The certificate or its key is of no use.
        KeysError: The file with the API keys cannot be read, or holds none.
        ModelError: The model package is wrong, or the key for what it hashes.
        BrokerError: The broker's URL is not one of Redis.
        OutboxUnavailableError: The directory of the outboxes cannot be made.
        PortError: Nobody can listen on that address and port, or somebody does already.
    """
    # What would fail in each process fails here, once, before any is started.
    try_apart(partial(draw_up, config.model or seed_package(), loader(config)))
    OutboxRoot(config.outbox_dir).create()
    make_sender(config)
    if tls is not None:
        check_tls(tls)
    if config.keys is not None:
        config = replace(config, rates=prepare_keys(config.keys))
    if config.metrics is not None:
        claim_metrics(config.metrics)
    handover = Handover(host, port, processes)
    connections = min(CONNECTIONS_MAX, raise_open_files() - FILES_SPARE)
    launcher = Launcher(
        handover,
        partial(load_app, config, tls, os.getpid(), handover),
        address=handover.listener.getsockname()[0],
        port=port,
        interface=Interfaces.ASGI,
        workers=processes,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=round(config.keep_alive_s * 1000), keep_alive=True, max_buffer_size=HEADERS_MAX_BYTES
        ),
        ssl_cert=tls and tls.certificate,
        ssl_key=tls and tls.key,
        ssl_protocol_min=SSLProtocols.tls12,
        websockets=False,
        backpressure=connections,
        log_level=LogLevels.warning,
        log_dictconfig=GRANIAN_LOGGING,
    )
    log.info(
        "api.listening",
        host=host,
        port=port,
        processes=processes,
        connections_max=connections,
        tls=tls is not None,
        keys=config.keys is not None,
    )
    return Processes(processes, launcher.new_process, handover, is_hung_up, KILL_AFTER_S).run()


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


def raise_open_files() -> int:
    """Returns how many files this process and its children may open from now on: as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + FILES_SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        log.warning("api.few_open_files", limit=soft, wanted=wanted)
    return wanted if soft == resource.RLIM_INFINITY else soft


def load_app(config: ApiConfig, tls: Tls | None, parent: int, handover: Handover) -> ASGIApp:
    """Returns the application; called in each new process.

    Args:
        config: What the process is told.
        tls: What the server will be started with; it must be of use before this process says that it serves.
        parent: The process that watches: when it dies, this one stops.
        handover: See there.
    """
    configure_logging(config.log_format)
    follow_parent(parent)

    def when_started(service: Service) -> None:
        stop_in_steps(service, gate, handover)
        gc.collect()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.freeze()  # looking through all that was loaded, and stays, would take tens of milliseconds each time
        handover.say_serving()

    gate = Gate(config.max_in_flight)
    try:
        # Opens the files of all metrics. Where that fails later, counting fails for good, after the event was kept.
        ACCEPTED.inc(0)
        if tls is not None:
            load_tls(tls)
        app = create_app(config, when_started=when_started)
    except DriftlineError as error:  # it was right when the service started, and is read again by each new process
        log.error("api.cannot_serve", error=error.message)
        raise SystemExit(1) from None
    except OSError as error:
        log.error("api.cannot_serve", error=f"its metrics cannot be kept: {error.strerror}")
        raise SystemExit(1) from None
    return Admission(app, gate, ALWAYS, Routes(app.routes, FORMS))


def stop_in_steps(service: Service, gate: Gate, handover: Handover) -> None:
    """Makes SIGTERM let clients go one by one before the server stops, which closes what connections are left.

    Granian's own handler, the same for SIGTERM and SIGINT, does that at once, whoever is about to send a request. It
    stays in place for SIGINT, which is what ends the last step.
    """
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        await service.drain(handover.open_connections, DRAIN_S)
        if handover.ending:
            handover.let_nobody_in()
            await asyncio.sleep(HANDSHAKES_S)  # who is half-way in may come in and be answered
        signal.raise_signal(signal.SIGINT)

    def on_sigterm() -> None:
        if draining:
            return
        service.part_with_clients()
        gate.parting = True
        if handover.ending:
            service.stop_soon()  # but taking connections: a load balancer wants to be told
        else:
            handover.take_no_more()
        draining.append(loop.create_task(drain(), name="drain"))

    loop.add_signal_handler(signal.SIGTERM, on_sigterm)
