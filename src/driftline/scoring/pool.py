"""A model in processes of its own, so that what takes the processor for long does not hold up an event loop."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from driftline.contract.package import Package
from driftline.contract.schema import Row, Score
from driftline.errors import ScoringError, ScoringTimeoutError
from driftline.scoring.lane import Lane
from driftline.scoring.pool_process import Asked, framed

_TRIES: Final = 2


class PoolModel:
    """A model of which each process of a pool holds a copy.

    A process scores one call at a time. When it dies, the call that it had is made once more, by a new process, and
    other calls do not notice; a call at which two processes die is an error. So is one that takes too long: its process
    is ended, the next call has a new one, and it is not made again.

    Args:
        package: Its runtime is ``python``.
        processes: How many there are.
        timeout_s: How long one call may take, of those that are awaited.

    Attributes:
        processes: How many there are.

    Raises:
        ModelError: The model does not load.
    """

    def __init__(self, package: Package, processes: int, timeout_s: float) -> None:
        self.processes = processes
        self._timeout_s: Final = timeout_s
        self._lanes: Final = [Lane(package.path) for _ in range(processes)]
        self._idle: Final = list(self._lanes)
        self._waiting: Final[deque[asyncio.Future[None]]] = deque()  # a semaphore would be of one loop for good
        self._calls: Final[set[asyncio.Task[list[Score]]]] = set()
        self._closed = False
        try:
            for lane in self._lanes:
                lane.start()
            for lane in self._lanes:
                lane.wait_loaded()
        except BaseException:
            self.close()
            raise

    def score(self, rows: Sequence[Row]) -> list[Score]:
        """Returns the score of each row, and lets nothing else run meanwhile.

        Raises:
            ScoringError: The model fails, or has been closed.
        """
        message, lane = _asked(rows), self._lanes[0]
        for _ in range(_TRIES):
            self._check_open()
            try:
                return lane.ask(message)
            except (EOFError, OSError):
                lane.end()
        raise _deadly()

    def score_row(self, row: Row) -> Score:
        """Returns the score of one row, and lets nothing else run meanwhile.

        Raises:
            ScoringError: As :meth:`score`.
        """
        return self.score((row,))[0]

    async def score_async(self, rows: Sequence[Row]) -> list[Score]:
        """Returns the score of each row.

        Raises:
            ScoringTimeoutError: The model takes too long.
            ScoringError: The model fails, or has been closed.
        """
        # Shielded, for a process that was asked must be listened to, whether or not the caller still waits.
        call = asyncio.create_task(self._call(_asked(rows)), name="score")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def _call(self, message: bytes) -> list[Score]:
        while not self._idle:
            free = asyncio.get_running_loop().create_future()
            self._waiting.append(free)
            await free
        lane = self._idle.pop()
        try:
            for _ in range(_TRIES):
                self._check_open()
                try:
                    return await lane.ask_async(message, self._timeout_s)
                except (EOFError, OSError):
                    lane.end()
        except (asyncio.CancelledError, ScoringTimeoutError):  # its answer would be taken for that of the next call
            lane.end()
            raise
        finally:
            self._idle.append(lane)
            self._wake_one()
        self._check_open()
        raise _deadly()

    def _wake_one(self) -> None:
        while self._waiting:
            if not (free := self._waiting.popleft()).done():
                free.set_result(None)
                return

    def close(self) -> None:
        """Ends the processes; what still waits for a score fails."""
        self._closed = True
        for lane in self._lanes:
            if lane in self._idle:
                lane.end()
            else:
                lane.kill()  # who waits for it learns it from the socket, and ends the lane

    def __del__(self) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ScoringError("the model's processes have been ended")


def _asked(rows: Sequence[Row]) -> bytes:
    return framed(Asked([tuple(row) for row in rows]))


def _deadly() -> ScoringError:
    return ScoringError(f"{_TRIES} processes of the model have died at the same rows")
