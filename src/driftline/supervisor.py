"""Keeps child processes running, shows what they print, and stops them in order.

Each child leads a session of its own, so that Ctrl-C in a terminal reaches only the supervisor and the order of
stopping is its decision. A child that is told its parent (:func:`follow_parent`) ends by itself when the supervisor
is killed with -9 and cannot stop anybody any more.
"""

import asyncio
import os
import select
import signal
import stat
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LINE_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Child:
    """A process to keep running: what it is called in the output, its command, and its whole environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Timing:
    """How patient the supervisor is, in seconds.

    Attributes:
        backoff_first_s: Wait before a child is started again; doubles from one failure to the next.
        backoff_max_s: The longest such wait.
        settled_after_s: A child that lived this long has settled: its next failure starts from the first backoff.
        grace_s: What a child has to end after SIGTERM, before SIGKILL.
        terminal_poll_s: Time between two looks whether the terminal is still there.
        head_start_s: What the first child has to say its first word, before the others are started.
        first_words_s: What all have to say theirs, before what is to run meanwhile is started.
    """

    backoff_first_s: float = 0.2
    backoff_max_s: float = 10.0
    settled_after_s: float = 10.0
    grace_s: float = 20.0
    terminal_poll_s: float = 0.5
    head_start_s: float = 2.0
    first_words_s: float = 10.0


class Supervisor:
    """Runs children until it is told to stop; not reusable.

    Args:
        children: In the order in which they are stopped. The first has a head start: the others, which would take
            half of a small machine from it, are started when it has said something, or after a while.
        show: Takes each line of output, as the name of who printed it and the text.
        hopeless: Exit codes that another start will not mend. A child that ends with one before it has settled for
            the first time ends everything.
        timing: See :class:`Timing`.
    """

    def __init__(
        self,
        children: Sequence[Child],
        show: Callable[[str, str], None],
        *,
        hopeless: frozenset[int] = frozenset(),
        timing: Timing = Timing(),
    ) -> None:
        self._runs = [_Run(child) for child in children]
        self._show = show
        self._hopeless = hopeless
        self._timing = timing
        self._stopping = asyncio.Event()
        self._exit_code = 0

    async def run(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> int:
        """Returns the exit code when all children are gone: 0 after a requested stop, else that of the hopeless child.

        Args:
            meanwhile: Runs beside the children, once each has said something, and is cancelled when they are stopped.
        """
        loop = asyncio.get_running_loop()
        # What the shell had us ignore (nohup, a job in the background) we go on ignoring.
        heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in heeded:
            loop.add_signal_handler(number, self._signalled, number)
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(self._watch_terminal())]
                for run in self._runs:
                    run.task = tasks.create_task(self._keep_running(run))
                    if run is self._runs[0]:
                        await self._hear_from([run], self._timing.head_start_s)
                await self._hear_from(self._runs, self._timing.first_words_s)
                if meanwhile:
                    beside.append(tasks.create_task(_as_coroutine(meanwhile)))
                await self._stopping.wait()
                for task in beside:
                    task.cancel()
                await self._stop_in_order()
        finally:
            for run in self._runs:
                run.kill()
            for number in heeded:
                loop.remove_signal_handler(number)
        return self._exit_code

    def stop(self) -> None:
        """Asks for an orderly stop; called again, kills the children at once."""
        if self._stopping.is_set():
            for run in self._runs:
                run.kill()
        self._stopping.set()

    def _signalled(self, number: signal.Signals) -> None:
        again = self._stopping.is_set()
        self._say("killed" if again else f"stopping ({number.name}); once more to kill at once")
        self.stop()

    async def _watch_terminal(self) -> None:
        """Stops when the terminal is gone: its SIGHUP only reaches the leader of the session, which may be make."""
        while not is_hung_up():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(self._timing.terminal_poll_s)
        self._stopping.set()

    async def _hear_from(self, runs: "Iterable[_Run]", at_most_s: float) -> None:
        """Returns when each of them has said something, the time is up, or all are to stop."""
        words: asyncio.Future[object] = asyncio.ensure_future(_all_set(run.spoke for run in runs))
        stopping: asyncio.Future[object] = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([words, stopping], timeout=at_most_s, return_when=asyncio.FIRST_COMPLETED)
        words.cancel()
        stopping.cancel()

    async def _keep_running(self, run: "_Run") -> None:
        backoff_s = self._timing.backoff_first_s
        settled = False
        while not self._stopping.is_set():
            born = time.monotonic()
            code = await self._live(run)
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - born
            settled = settled or lived_s >= self._timing.settled_after_s
            if code in self._hopeless and not settled:
                self._exit_code = code
                self._say(f"{run.child.name} cannot run: {run.last_line}")
                self._stopping.set()
                return
            if lived_s >= self._timing.settled_after_s:
                backoff_s = self._timing.backoff_first_s
            self._say(f"{run.child.name} ended ({_reason(code)}); starting it again in {backoff_s:.1f} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff_s)
            backoff_s = min(2 * backoff_s, self._timing.backoff_max_s)

    async def _live(self, run: "_Run") -> int:
        """One life of a child, from its start to its exit code; nothing of it is left running."""
        loop = asyncio.get_running_loop()
        # A pipe of our own: asyncio's wait() also waits for the end of its pipes, which a process that the child left
        # behind would hold open. We keep the writing side too, so that there is no end to be seen before the child's.
        output, child_side = os.pipe()
        os.set_blocking(output, False)
        lines = _Lines(lambda text: self._show_line(run, text))
        try:
            process = await asyncio.create_subprocess_exec(
                *run.child.command,
                env=run.child.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=child_side,
                stderr=child_side,
                start_new_session=True,
            )
            run.process = process
            if self._stopping.is_set():
                run.terminate()  # the stop came while it was being started
            loop.add_reader(output, lines.take, output)
            code = await process.wait()
            run.kill()  # what it started itself: a server process left behind would keep the port
            run.process = None  # the pid is free for others now, and must not be signalled again
            loop.remove_reader(output)
            lines.finish(output)
            return code
        finally:
            os.close(child_side)
            os.close(output)

    def _show_line(self, run: "_Run", text: str) -> None:
        run.last_line = text.strip() or run.last_line
        run.spoke.set()
        self._output(run.child.name, text)

    def _say(self, text: str) -> None:
        self._output("up", text)

    def _output(self, name: str, text: str) -> None:
        try:
            self._show(name, text)
        except OSError:
            self._stopping.set()  # nobody can read us any more: the terminal or the pipe is gone

    async def _stop_in_order(self) -> None:
        for run in self._runs:
            run.terminate()
            assert run.task is not None
            _, late = await asyncio.wait([run.task], timeout=self._timing.grace_s)
            if late:
                self._say(f"{run.child.name} did not end within {self._timing.grace_s:g} s; killed")
                run.kill()
                await asyncio.wait([run.task])


@dataclass
class _Run:
    """A child and what is known of its present life."""

    child: Child
    process: asyncio.subprocess.Process | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    spoke: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    last_line: str = "it said nothing"

    def terminate(self) -> None:
        if self.process and self.process.returncode is None:
            self.process.terminate()

    def kill(self) -> None:
        """Kills the child with all that it started: it leads its own session, so its pid names the group."""
        if self.process:
            with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
                os.killpg(self.process.pid, signal.SIGKILL)


class _Lines:
    """Cuts what comes out of a pipe into lines; one that is longer than the bound comes in pieces."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._rest = b""

    def take(self, pipe: int) -> bool:
        """Reads once, without waiting; returns whether there was anything."""
        try:
            chunk = os.read(pipe, LINE_MAX_BYTES)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_MAX_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._show(line.decode(errors="replace").rstrip("\r"))
        return bool(chunk)

    def finish(self, pipe: int) -> None:
        """Shows all that is still there, the last line too if it has no end."""
        while self.take(pipe):
            pass
        if self._rest:
            self._show(self._rest.decode(errors="replace"))


def follow_parent(parent: int, grace_s: float = 20.0, poll_s: float = 0.25) -> None:
    """Ends this process when ``parent`` is no longer its parent: SIGTERM, and SIGKILL after ``grace_s``.

    Returns at once; a daemon thread watches. It polls, because that is right on Linux and macOS alike and cannot miss
    a parent that died before the watch began.

    Args:
        parent: Process id that the parent told us, rather than one asked for here, when it may be dead already.
        grace_s: Seconds an orderly end may take.
        poll_s: Seconds between two looks.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(poll_s)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def is_hung_up(descriptors: Iterable[int] = (1, 2)) -> bool:
    """Returns whether the terminal that this process talks to is gone; False if it never had one.

    What it would read from does not count: who sends the output elsewhere means it to outlive the terminal.
    """
    poll = select.poll()
    for descriptor in descriptors:
        with suppress(OSError):
            os.fstat(descriptor)
            poll.register(descriptor, 0)
    return any(
        events & select.POLLHUP and stat.S_ISCHR(os.fstat(descriptor).st_mode) for descriptor, events in poll.poll(0)
    )


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


async def _all_set(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _as_coroutine(function: Callable[[], Awaitable[None]]) -> None:
    await function()
