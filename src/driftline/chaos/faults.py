"""How each kind of fault is done to an installation, and undone."""

import asyncio
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from driftline.chaos.installation import Installation
from driftline.chaos.process import Process, send
from driftline.chaos.schedule import Fault
from driftline.errors import BrokerError, ChaosError
from driftline.eventlog.store import FILE_NAME

_BACK_WITHIN_S: Final = 30.0
_STUTTER_S: Final = (0.05, 0.25)
_MISSED: Final = "it was not running"
_NOT_DONE: Final = "not done"


class Effect(NamedTuple):
    """What came of a fault.

    Attributes:
        text: In some words.
        hit: Whether it hit anything: what is down already cannot be killed.
    """

    text: str
    hit: bool


class Faults:
    """Does faults to an installation.

    Args:
        installation: The victim.
    """

    def __init__(self, installation: Installation) -> None:
        self._it = installation
        self._done: dict[str, Callable[[Fault], Awaitable[str]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "stutter": self._stutter,
            "restart": self._restart,
            "wipe": self._wipe,
            "flush": self._flush,
            "out-of-memory": self._out_of_memory,
            "cut": self._cut,
            "half-open": self._half_open,
            "disk-full": self._disk_full,
            "file-limit": self._file_limit,
            "lock-record": self._lock_record,
        }

    async def play(self, fault: Fault) -> Effect:
        """Does it, waits, undoes it, and returns what came of it. Undoes it when cancelled, too."""
        text = await self._done[fault.kind](fault)
        return Effect(text, hit=not text.startswith((_MISSED, _NOT_DONE)))

    # -- processes

    async def _kill(self, fault: Fault) -> str:
        if fault.target == "api-process":
            pid = self._api_process(fault)
            if pid is None:
                return _MISSED
            send(pid, signal.SIGKILL)
            return f"pid {pid}; {await self._back('api')}"
        process = self._it.processes[fault.target]
        async with _held(process):
            pid = process.signal(signal.SIGKILL)
            await asyncio.sleep(fault.lasts_s)
        return f"{_named(pid)}; {await self._back(fault.target)}"

    async def _restart(self, fault: Fault) -> str:
        process = self._it.processes[fault.target]
        async with _held(process):
            pid = process.signal(signal.SIGTERM)
            if not await process.gone():
                process.signal(signal.SIGKILL)
                return f"{_named(pid)}; did not end on SIGTERM, killed"
            await asyncio.sleep(fault.lasts_s)
        return f"{_named(pid)}; {await self._back(fault.target)}"

    async def _freeze(self, fault: Fault) -> str:
        pid = self._pid(fault)
        if pid is None:
            return _MISSED
        send(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            send(pid, signal.SIGCONT)
        return f"pid {pid}; {await self._back(_process_of(fault.target))}"

    async def _stutter(self, fault: Fault) -> str:
        pid = self._pid(fault)
        if pid is None:
            return _MISSED
        loop = asyncio.get_running_loop()
        until, times = loop.time() + fault.lasts_s, 0
        stopped_s = _STUTTER_S[0] + fault.pick * (_STUTTER_S[1] - _STUTTER_S[0])
        while loop.time() < until:
            send(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(stopped_s)
            finally:
                send(pid, signal.SIGCONT)
            await asyncio.sleep(_STUTTER_S[0])
            times += 1
        return f"pid {pid}; frozen {times} times for {stopped_s:.2f} s"

    async def _file_limit(self, fault: Fault) -> str:
        pid = self._pid(fault)
        if pid is None:
            return _MISSED
        largest = 1024 + int(fault.pick * (128 << 10))
        try:
            usual = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, usual[1]))
        except ProcessLookupError:
            return _MISSED
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            _unlimit(pid)
        return (
            f"pid {pid}; no file may grow beyond {largest // 1024} KiB; {await self._back(_process_of(fault.target))}"
        )

    # -- the broker and the way to it

    async def _wipe(self, fault: Fault) -> str:
        assert self._it.broker is not None
        process = self._it.processes["redis"]
        async with _held(process):
            pid = process.signal(signal.SIGKILL)
            await process.gone()
            size = self._it.broker.forget()
            await asyncio.sleep(fault.lasts_s)
        return f"{_named(pid)}; {size:,} bytes of its files deleted; {await self._back('redis')}"

    async def _flush(self, fault: Fault) -> str:
        del fault
        assert self._it.broker is not None
        try:
            return f"{await self._it.broker.flush()} keys deleted"
        except BrokerError as error:
            return f"{_NOT_DONE}: {error.message}"

    async def _out_of_memory(self, fault: Fault) -> str:
        broker = self._it.broker
        assert broker is not None
        try:
            used = await broker.used_bytes()
            await broker.limit(max(1, int(used * (0.5 + fault.pick))))
        except BrokerError as error:
            return f"{_NOT_DONE}: {error.message}"
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            undone = await self._unlimit_broker()
        return f"at most {0.5 + fault.pick:.1f} times the {used:,} bytes it had; {undone}"

    async def _unlimit_broker(self) -> str:
        assert self._it.broker is not None
        for _ in range(20):
            try:
                await self._it.broker.limit(0)
            except BrokerError:  # away: one that is started anew has no limit
                await asyncio.sleep(1)
            else:
                return "no limit again"
        return "still away"

    async def _cut(self, fault: Fault) -> str:
        proxy = self._it.proxies[fault.target]
        cut = proxy.connections
        proxy.cut()
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            proxy.join()
        return f"{cut} connections reset"

    async def _half_open(self, fault: Fault) -> str:
        proxy = self._it.proxies[fault.target]
        held = proxy.connections
        proxy.stall()
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            if late := fault.pick < 0.5:  # noqa: PLR2004
                proxy.flow()
            else:
                proxy.drop()
                proxy.flow()
        return f"{held} connections held, {'what they held came late' if late else 'then reset'}"

    # -- disks

    async def _disk_full(self, fault: Fault) -> str:
        disk = self._it.disks[fault.target]
        try:
            used = await asyncio.to_thread(disk.fill)
        except ChaosError as error:
            return f"{_NOT_DONE}: {error.message}"
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            await asyncio.to_thread(disk.free)
        process = "api" if fault.target == "outbox" else "worker"
        return f"full at {used // 1024:,} KiB; {await self._back(process)}"

    async def _lock_record(self, fault: Fault) -> str:
        path = self._it.log_dir / FILE_NAME
        try:
            connection = await asyncio.to_thread(_lock_database, path.as_uri())
        except sqlite3.Error as error:
            return f"{_NOT_DONE}: {error}"
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            connection.close()
        return f"{FILE_NAME} was locked by another; {await self._back('worker')}"

    # -- whom it hits

    def _api_process(self, fault: Fault) -> int | None:
        children = self._it.processes["api"].children()
        return children[int(fault.pick * len(children))] if children else None

    def _pid(self, fault: Fault) -> int | None:
        return self._api_process(fault) if fault.target == "api-process" else self._it.processes[fault.target].pid

    async def _back(self, name: str) -> str:
        took_s = await self._it.processes[name].ready(_BACK_WITHIN_S)
        return f"not ready within {_BACK_WITHIN_S:g} s" if took_s is None else f"ready {took_s:.1f} s later"


@asynccontextmanager
async def _held(process: Process) -> AsyncIterator[None]:
    process.hold()
    try:
        yield
    finally:
        process.release()


def _process_of(target: str) -> str:
    return "api" if target == "api-process" else target


def _named(pid: int | None) -> str:
    return _MISSED if pid is None else f"pid {pid}"


def _unlimit(pid: int) -> None:
    try:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    except ProcessLookupError:
        return


def _lock_database(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{uri}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=2)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except BaseException:
        connection.close()
        raise
    return connection
