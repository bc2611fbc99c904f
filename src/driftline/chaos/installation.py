"""An installation of Driftline on free ports, in a folder of its own: the API, the worker, and perhaps a Redis."""

import asyncio
import http.client
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftline import layout
from driftline.chaos.broker import Broker
from driftline.chaos.disk import SmallDisk
from driftline.chaos.machine import Machine
from driftline.chaos.process import Process
from driftline.chaos.proxy import Proxy
from driftline.errors import ChaosError
from driftline.ports import claim

_HOST: Final = "127.0.0.1"
_READY_WITHIN_S: Final = 60.0
_SETTINGS: Final = {
    "DRIFTLINE_HOST": _HOST,
    "DRIFTLINE_LOG_FORMAT": "json",
    # Small, so that segments are begun and deleted all the time.
    "DRIFTLINE_OUTBOX_SEGMENT_MAX_BYTES": str(256 << 10),
    "DRIFTLINE_LOG_SEGMENT_MAX_BYTES": str(8 << 20),
}


@dataclass(frozen=True)
class Installation:
    """What runs, and what can be done to it.

    Attributes:
        data: The data folder.
        api_port: Where predictions are asked for.
        processes: ``api`` and ``worker``, and ``redis`` if there is one.
        broker: The Redis, if there is one.
        proxies: ``api-redis`` and ``worker-redis``, if there is one.
        disks: ``outbox`` and ``log``, where file systems can be mounted.
    """

    data: Path
    api_port: int
    processes: Mapping[str, Process]
    broker: Broker | None
    proxies: Mapping[str, Proxy]
    disks: Mapping[str, SmallDisk]

    @property
    def outbox_dir(self) -> Path:
        """Folder of all outboxes."""
        return layout.outbox_dir(self.data)

    @property
    def log_dir(self) -> Path:
        """Folder of the log."""
        return layout.log_dir(self.data)

    async def all_ready(self, within_s: float = _READY_WITHIN_S) -> None:
        """Returns when all of it does its work.

        Raises:
            ChaosError: Something did not in time.
        """
        for process in self.processes.values():
            if await process.ready(within_s) is None:
                raise ChaosError(f"{process.name} was not ready within {within_s:g} s; see {process.name}.out")


def data_folder(folder: Path) -> Path:
    """Returns the data folder of an installation in this folder."""
    return folder / "data"


def small_disks(folder: Path, machine: Machine, size_bytes: int) -> dict[str, SmallDisk]:
    """Returns the disks under the outboxes and the log of an installation, not mounted yet; none where none can be."""
    if "mounts" not in machine.abilities:
        return {}
    folders = {"outbox": layout.outbox_dir(data_folder(folder)), "log": layout.log_dir(data_folder(folder))}
    return {name: SmallDisk(path, size_bytes) for name, path in folders.items()}


@asynccontextmanager
async def install(
    folder: Path, machine: Machine, *, disks: Mapping[str, SmallDisk], api_processes: int, outbox_sync: str
) -> AsyncIterator[Installation]:
    """Makes an installation and starts it; when this ends all is dead, but its disks are mounted.

    Args:
        folder: An empty one.
        machine: What is possible here.
        disks: To be mounted; see :func:`small_disks`.
        api_processes: How many processes answer requests.
        outbox_sync: The setting.

    Raises:
        ChaosError: Something cannot be started.
    """
    data = data_folder(folder)
    data.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        for disk in disks.values():
            disk.mount()  # in no thread, which would mount it after a cancelled run has unmounted all
        broker, proxies = None, {}
        if machine.redis_server is not None:
            broker = Broker(machine.redis_server, folder / "redis", claim(_HOST, 0).port)
            for name in ("api-redis", "worker-redis"):
                proxies[name] = await stack.enter_async_context(Proxy(broker.port))
        names = ["redis", "worker", "api"] if broker else ["worker", "api"]
        ports = {"api": claim(_HOST, 0).port, "worker": claim(_HOST, 0).port}
        settings = _SETTINGS | {
            "DRIFTLINE_DATA": str(data),
            "DRIFTLINE_PROCESSES": str(api_processes),
            "DRIFTLINE_OUTBOX_SYNC": outbox_sync,
            "DRIFTLINE_PORT": str(ports["api"]),
            "DRIFTLINE_METRICS_PORT": str(ports["worker"]),
        }
        processes = {}
        for name in names:
            environment = _environment()
            if name == "redis":
                assert broker is not None
                process = Process(name, broker.command, environment, folder, broker.ready)
            else:
                if broker is not None:
                    environment["DRIFTLINE_BROKER"] = broker.url(proxies[f"{name}-redis"].port)
                process = Process(name, _command(name), environment | settings, folder, _Ready(ports[name]))
            stack.push_async_callback(process.close)
            process.start()
            processes[name] = process
        installation = Installation(data, ports["api"], processes, broker, proxies, disks)
        await installation.all_ready()
        yield installation


def _command(name: str) -> tuple[str, ...]:
    command = "serve" if name == "api" else name
    return (sys.executable, "-P", "-m", "driftline", command, "--parent", str(os.getpid()))


def _environment() -> dict[str, str]:
    """Ours, without what would set Driftline: the installation is the same whoever tries it."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_") and name != "REDIS_URL"
    }


class _Ready:
    """Whether a process says on its port that it is ready."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self) -> bool:
        return await asyncio.to_thread(self._ask)

    def _ask(self) -> bool:
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=1.0)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
