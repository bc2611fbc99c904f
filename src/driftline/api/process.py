"""One process that answers: what it serves, from its start to its end."""

import asyncio
import gc
import signal
import ssl
from typing import Final

import structlog
import uvloop

from driftline.api.admission import Admission, Gate
from driftline.api.app import FORMS, PREDICT, create_app
from driftline.api.config import ApiConfig
from driftline.api.fast_path import FastPath
from driftline.api.guard import OPEN
from driftline.api.handover import Handover
from driftline.api.listener import Listener
from driftline.api.metrics import ACCEPTED
from driftline.api.routes import Routes
from driftline.api.service import Service
from driftline.api.signals import let_signals_end_us
from driftline.api.tls import Tls, load_tls
from driftline.errors import DriftlineError
from driftline.supervisor import follow_parent
from driftline.telemetry import configure_logging

log = structlog.get_logger()

DRAIN_S: Final = 1.0
HANDSHAKES_S: Final = 0.2
GC_THRESHOLDS: Final = (20_000, 20, 20)
ALWAYS: Final = (*OPEN, "/metrics")


def serve_here(config: ApiConfig, tls: Tls | None, parent: int, handover: Handover, connections_max: int) -> None:
    """Serves until SIGTERM, or SIGINT, which ends at once what SIGTERM ends in steps.

    Args:
        config: What the process is told.
        tls: What HTTPS is served with; None serves HTTP.
        parent: The process that watches: when it dies, this one stops.
        handover: See there.
        connections_max: Clients beyond that are sent away.

    Raises:
        SystemExit: It cannot serve; why is in the log.
    """
    let_signals_end_us()
    configure_logging(config.log_format)
    follow_parent(parent)
    try:
        # Opens the files of all metrics. Where that fails later, counting fails for good, after the event was kept.
        ACCEPTED.inc(0)
    except OSError as error:
        log.error("api.cannot_serve", error=f"its metrics cannot be kept: {error.strerror}")
        raise SystemExit(1) from None
    try:
        uvloop.run(_serve(config, tls and load_tls(tls), handover, connections_max))
    except DriftlineError as error:  # it was right when the service started, and is read again by each new process
        log.error("api.cannot_serve", error=error.message)
        raise SystemExit(1) from None


async def _serve(config: ApiConfig, tls: ssl.SSLContext | None, handover: Handover, connections_max: int) -> None:
    service, guard, app = create_app(config)
    gate = Gate(config.max_in_flight)
    async with app.router.lifespan_context(app):
        fast_path = FastPath(PREDICT, service, gate, guard, max_body_bytes=config.max_body_bytes)
        listener = Listener(
            Admission(app, gate, ALWAYS, Routes(app.routes, FORMS)),
            keep_alive_s=config.keep_alive_s,
            connections_max=connections_max,
            fast_path=fast_path,
        )
        await listener.listen(handover.listener, tls)
        ended = _end_by_signals(service, gate, listener, handover)
        gc.collect()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.freeze()  # looking through all that was loaded, and stays, would take tens of milliseconds each time
        handover.say_serving()
        await ended.wait()
        await listener.close()
        await fast_path.close()


def _end_by_signals(service: Service, gate: Gate, listener: Listener, handover: Handover) -> asyncio.Event:
    """Returns what is set when the process is to end: after SIGTERM clients first get the time to go, one by one."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        await service.drain(lambda: listener.open_connections, DRAIN_S)
        if handover.ending:
            handover.let_nobody_in()
            await asyncio.sleep(HANDSHAKES_S)  # who is half-way in may come in and be answered
        ended.set()

    def on_sigterm() -> None:
        if draining:
            return
        service.part_with_clients()
        gate.parting = True
        listener.hand_over_bodies()
        if handover.ending:
            service.stop_soon()  # but taking connections: a load balancer wants to be told
        else:
            listener.take_no_more()
        draining.append(loop.create_task(drain(), name="drain"))

    loop.add_signal_handler(signal.SIGTERM, on_sigterm)
    loop.add_signal_handler(signal.SIGINT, ended.set)
    return ended
