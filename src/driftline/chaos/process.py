"""A process that is kept running, and can be killed, frozen and stopped from outside."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from driftline.chaos.processes import children_of
from driftline.errors import ChaosError

_AGAIN_AFTER_S: Final = 0.3
_POLL_S: Final = 0.05
_GRACE_S: Final = 30.0
_OUTPUT_MAX_BYTES: Final = 16 << 20
_CHUNK_BYTES: Final = 64 << 10


class Process:
    """A command that is started again whenever it ends, unless somebody holds it down.

    It leads a session of its own, so that Ctrl-C in a terminal does not reach it. What it leaves behind when it is
    killed goes on, as it does in real life; :meth:`close` ends that too.

    Args:
        name: What it is called.
        command: What to run.
        environment: The whole of it.
        folder: Where it runs, and where ``<name>.out`` gets what it prints.
        ready: Whether it does its work.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self.name = name
        self.starts = 0
        self._command = command
        self._environment = environment
        self._folder = folder
        self._ready = ready
        self._process: asyncio.subprocess.Process | None = None
        self._groups: set[int] = set()
        self._holds = 0
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._closing = False
        self._output = _Output(folder / f"{name}.out")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keeps it running from now on."""
        self._task = asyncio.create_task(self._keep_running(), name=self.name)

    @property
    def pid(self) -> int | None:
        """Its process id, or None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def children(self) -> list[int]:
        """Returns the ids of the processes that it has started."""
        return children_of(self.pid) if self.pid is not None else []

    def pids(self) -> list[int]:
        """Returns its own id and those of its children."""
        return [self.pid, *self.children()] if self.pid is not None else []

    def hold(self) -> None:
        """Does not let it start again, until :meth:`release`. Holds add up."""
        self._holds += 1
        self._may_run.clear()

    def release(self) -> None:
        """Takes back one :meth:`hold`."""
        self._holds -= 1
        if not self._holds:
            self._may_run.set()

    def signal(self, number: signal.Signals) -> int | None:
        """Sends it a signal; returns its process id, or None if it does not run."""
        pid = self.pid
        if pid is not None:
            send(pid, number)
        return pid

    async def gone(self, within_s: float = _GRACE_S) -> bool:
        """Returns True when it does not run any more, False if it still does when the time is up."""
        return await _until(lambda: self.pid is None, within_s)

    async def ready(self, within_s: float) -> float | None:
        """Returns after how many seconds it did its work, or None if it did not in time."""
        began = time.monotonic()
        while time.monotonic() - began < within_s:
            if self.pid is not None and await self._ready():
                return time.monotonic() - began
            await asyncio.sleep(_POLL_S)
        return None

    async def stop(self) -> bool:
        """Ends it politely and for good; returns whether it did so by itself."""
        self._closing = True
        self._may_run.clear()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return await self.gone()

    async def close(self) -> None:
        """Kills it with all that it and its earlier lives have started. Fine to call twice."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for group in self._groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()
        await _until(lambda: not self._living_groups(), _GRACE_S)
        self._output.close()

    def _living_groups(self) -> set[int]:
        """Forgets the groups that nobody is left of: their numbers may be given to others."""
        self._groups = {group for group in self._groups if _group_lives(group)}
        return self._groups

    async def _keep_running(self) -> None:
        while True:
            await self._may_run.wait()
            if self._closing:
                return
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env=self._environment,
                    cwd=self._folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=self._output.pipe,
                    stderr=self._output.pipe,
                    start_new_session=True,
                )
            except OSError as error:
                raise ChaosError(f"cannot start {self._command[0]}: {error.strerror}") from error
            self.starts += 1
            self._groups.add(self._process.pid)
            await self._process.wait()
            self._living_groups()
            if not self._closing:
                await asyncio.sleep(_AGAIN_AFTER_S)


class _Output:
    """What a process prints, by way of a pipe: a limit on the size of its files must not hit its messages.

    Args:
        path: The file; a second one of the same size at most holds what was before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._reader, self.pipe = os.pipe()
        os.set_blocking(self._reader, False)
        asyncio.get_running_loop().add_reader(self._reader, self._take)

    def close(self) -> None:
        """Reads what is left and gives up the files. Fine to call twice."""
        if self._file.closed:
            return
        while self._take():
            pass
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)
        os.close(self.pipe)
        self._file.close()

    def _take(self) -> bool:
        try:
            chunk = os.read(self._reader, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if self._file.tell() > _OUTPUT_MAX_BYTES:
            self._file.close()
            self._path.replace(f"{self._path}.1")
            self._file = self._path.open("ab", buffering=0)
        self._file.write(chunk)
        return bool(chunk)


def send(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def _until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of zombies
        return False
    return True
