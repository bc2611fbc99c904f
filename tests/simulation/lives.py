"""The processes of the real code, as the simulation starts them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from driftline.api.config import ApiConfig
from driftline.api.service import Service
from driftline.contract.package import seed_schema
from driftline.eventlog.writer import LogWriter
from driftline.worker.main import Receiver, _work, make_receiver
from driftline.worker.scribe import Scribe
from tests.api.models import seed_roster
from tests.simulation.engine.loop import Process, VirtualLoop

Transport = Literal["local", "redis"]
Sync = Literal["os", "always"]

SCHEMA = seed_schema()
_BROKER_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Setting:
    """What does not change during a schedule.

    Attributes:
        seed: Of all that is drawn while it is played.
        transport: Embedded, on one machine, or through the broker, on two.
        sync: As the setting ``outbox_sync``.
        outbox_segment_max_bytes: As the setting of that name.
        log_segment_max_bytes: As the setting of that name.
    """

    seed: int
    transport: Transport
    sync: Sync
    outbox_segment_max_bytes: int = 2000
    log_segment_max_bytes: int = 4000

    @property
    def url(self) -> str | None:
        """The broker's, if there is one."""
        return "redis://simulated" if self.transport == "redis" else None


@dataclass
class Life:
    """A process that has been started, and what can be asked of it from outside."""

    process: Process
    main: asyncio.Task[None]
    stop: Callable[[], None]
    service: Service | None = None

    @property
    def going(self) -> bool:
        """Whether it is there."""
        return self.process.alive and not self.main.done()


def begin_api(setting: Setting, process: Process, loop: VirtualLoop, outbox_dir: Path, log_dir: Path) -> Life:
    """Starts an API process: the real service, without its HTTP server."""
    config = ApiConfig(
        app_name="simulated",
        outbox_dir=outbox_dir,
        log_dir=log_dir,
        broker_url=setting.url,
        outbox_sync=setting.sync,
        outbox_max_bytes=1 << 20,
        outbox_segment_max_bytes=setting.outbox_segment_max_bytes,
        max_body_bytes=10_000,
        model=None,
        broker_timeout_s=_BROKER_TIMEOUT_S,
    )
    service, stopping = Service(config, seed_roster()), asyncio.Event()

    async def main() -> None:
        async with service.running():
            await stopping.wait()
            service.stop_soon()

    return Life(process, loop.spawn(process, main()), stopping.set, service)


def begin_worker(setting: Setting, process: Process, loop: VirtualLoop, outbox_dir: Path, log_dir: Path) -> Life:
    """Starts a worker, without its signals and its health server; where one is at work, it is a standby."""
    receivers: list[Receiver] = []

    async def main() -> None:
        writer = LogWriter(log_dir, segment_max_bytes=setting.log_segment_max_bytes)
        receivers.append(make_receiver(outbox_dir, setting.url, _BROKER_TIMEOUT_S))
        await _work(Scribe(writer), receivers[0], log_dir)

    def stop() -> None:
        for receiver in receivers:
            receiver.stop()

    return Life(process, loop.spawn(process, main()), stop)
