"""An event loop without a clock, without threads and without sockets: all that happens follows from one random seed.

Time stands still while anything can run, and then jumps to the next timer. Every callback belongs to the simulated
process in whose context it was made, so that a process can be frozen, or end between two instructions.
"""

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from random import Random
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_THREAD_MAX_S = 0.004
_UNWINDING_ROUNDS = 200


class Crash(BaseException):
    """The process is dead: nothing that it was about to do happens. No ``except Exception`` may stop it."""


class Process:
    """A simulated process: what the kernel knows of it.

    Attributes:
        name: For the trace.
        machine: Where it runs; a power cut ends all processes of a machine.
        alive: False from the instant of its death.
        frozen_until: Until then it has been stopped (SIGSTOP).
        ready: Callbacks that may run now.
        tasks: Its tasks, to be ended with it.
        errors: What its callbacks raised and nobody caught.
        boundaries: How often it has asked the kernel to change something on a disk.
    """

    def __init__(self, name: str, machine: str) -> None:
        self.name = name
        self.machine = machine
        self.alive = True
        self.frozen_until = 0.0
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.errors: list[BaseException] = []
        self.boundaries = 0


CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)
"""Which process is running now; None is the observer, who is never hurt."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs the callbacks of several processes, in an order that only the random numbers decide.

    Args:
        rng: Decides whose turn it is, and how long a thread takes.
    """

    def __init__(self, rng: Random) -> None:
        self.now = 1000.0
        self.turns = 0
        self._rng = rng
        self._observer = Process("observer", "")
        self._processes: list[Process] = [self._observer]
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._ticket = itertools.count()

    # -- processes

    def spawn(self, process: Process, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a process."""
        self._processes.append(process)
        context = Context()
        context.run(CURRENT.set, process)
        return self.create_task(main, context=context)

    def bury(self, process: Process) -> None:
        """Unwinds what a dead process was doing; it can touch nothing any more, and time stands still meanwhile."""
        process.alive = False
        for _ in range(_UNWINDING_ROUNDS):
            left = [task for task in process.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            for _ in range(len(process.ready)):
                process.ready.popleft()._run()
        else:
            raise AssertionError(f"{process.name} cannot be ended: {process.tasks}")
        process.ready.clear()
        self._processes.remove(process)

    # -- running

    def run_for(self, seconds: float, until: Callable[[], bool]) -> None:
        """Runs until so much time has passed, or a condition holds that is looked at after each callback."""
        deadline = self.now + seconds
        asyncio._set_running_loop(self)
        try:
            while not until():
                if not self._turn(deadline):
                    self.now = deadline
                    return
        finally:
            asyncio._set_running_loop(None)

    def run_others(self, process: Process, seconds: float, until: Callable[[], bool]) -> None:
        """As :meth:`run_for`, from within a process that is in the middle of a system call, and without it."""
        task, deadline = asyncio.current_task(self), self.now + seconds
        frozen_until, process.frozen_until = process.frozen_until, math.inf
        if task is not None:
            asyncio.tasks._leave_task(self, task)
        try:
            while not until() and self._turn(deadline):
                pass
        finally:
            process.frozen_until = frozen_until
            if task is not None:
                asyncio.tasks._enter_task(self, task)

    def _turn(self, deadline: float) -> bool:
        """Runs one callback; False if there is none before the deadline."""
        able = [process for process in self._processes if process.ready and process.frozen_until <= self.now]
        while not able:
            if not self._advance(deadline):
                return False
            able = [process for process in self._processes if process.ready and process.frozen_until <= self.now]
        process = able[0] if len(able) == 1 else able[int(self._rng.random() * len(able))]
        handle = process.ready.popleft()
        if not handle._cancelled:
            self.turns += 1
            handle._run()
        return True

    def _advance(self, deadline: float) -> bool:
        thaws = [process.frozen_until for process in self._processes if process.ready]
        if self._timers:
            thaws.append(self._timers[0][0])
        if not thaws or min(thaws) > deadline:
            return False
        self.now = max(self.now, min(thaws))
        while self._timers and self._timers[0][0] <= self.now:
            timer = heapq.heappop(self._timers)[2]
            if not timer._cancelled:
                self._owner(timer).ready.append(timer)
        return True

    def _owner(self, handle: asyncio.Handle) -> Process:
        context: Context = handle._context  # type: ignore[attr-defined]  # whose it is can be seen nowhere else
        return context.get(CURRENT) or self._observer

    # -- what asyncio asks of a loop

    def time(self) -> float:
        """Returns the virtual time, in seconds."""
        return self.now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Has it called by the process that asks."""
        handle = asyncio.Handle(callback, args, self, context)
        self._owner(handle).ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Has it called when so many seconds have passed."""
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Has it called at a time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._ticket), timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        """Returns a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        """Starts a task of the process that asks."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        process = CURRENT.get() if context is None else context.get(CURRENT)
        if process is not None:
            process.tasks.append(task)
            task.add_done_callback(process.tasks.remove, context=context)
        return task

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Runs it some time later, whole: what a thread does is not mixed with what others do meanwhile."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for whoever waits
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_later(self._rng.random() * _THREAD_MAX_S, work)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keeps what nobody caught; that a dead process leaves tasks behind is as it should be."""
        process, error = CURRENT.get(), context.get("exception")
        if process is not None and process.alive and error is not None and not isinstance(error, Crash):
            process.errors.append(error)

    def get_debug(self) -> bool:
        """Returns that nothing is checked beyond what asyncio always checks."""
        return False

    def is_running(self) -> bool:
        """Returns that it runs; nobody asks when it does not."""
        return True

    def is_closed(self) -> bool:
        """Returns that it can be used."""
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays where it is until its time comes."""
