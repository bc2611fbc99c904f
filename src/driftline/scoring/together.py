"""Rows that are asked for one by one, at the same time, and are scored together where the model gains by it."""

import asyncio
import math
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from driftline.contract.package import Package
from driftline.contract.schema import Row, Score
from driftline.errors import InputError, ScoringError, ScoringTimeoutError
from driftline.scoring.model import AsyncModel, GainsTogether, Model


class Together:
    """Scores rows of several callers in one go.

    Whoever asks in the same turn of the event loop is in the same batch; the first of them waits ``delay_s`` for
    others, who may come until then. Of a model in other processes as many batches are under way as there are
    processes, and who comes meanwhile is in one of the next. Each caller gets the score of its own row, or the error:
    where a batch fails, its rows are scored one by one, unless it has taken too long.

    Args:
        model: Gives the scores.
        max_rows: Most rows of one batch.
        delay_s: How long the first one waits, at most.
        most_callers: So many may wait for a model in other processes. More are refused at once, for what is slow there
            must not hold all requests that the server works on.
    """

    def __init__(self, model: Model, max_rows: int, delay_s: float = 0.0, *, most_callers: int = sys.maxsize) -> None:
        self._model: Final = model
        self._elsewhere: Final = model if isinstance(model, AsyncModel) else None
        self._processes: Final = model.processes if isinstance(model, AsyncModel) else 1
        self._max_rows: Final = max_rows
        self._delay_s: Final = delay_s
        self._most_callers: Final = most_callers
        self._callers = 0
        self._line: Final[deque[_Waiting]] = deque()
        self._timer: asyncio.Handle | None = None
        self._under_way: Final[set[asyncio.Task[None]]] = set()

    async def score_row(self, row: Row) -> Score:
        """Returns the score of one row.

        Raises:
            InputError: Too many wait already.
            ScoringError: The model fails at this row.
        """
        if self._elsewhere is None:
            return await self._in_line(row)
        with self._calling():
            return await self._in_line(row)

    async def score_elsewhere(self, model: AsyncModel, rows: Sequence[Row]) -> Sequence[Score]:
        """Returns the score of each of one caller's rows, which the model gets as they are.

        Args:
            model: The one that scores single rows.
            rows: One or more.

        Raises:
            InputError: Too many wait already.
            ScoringError: The model fails.
        """
        with self._calling():
            return await model.score_async(rows)

    @property
    def in_one_turn(self) -> bool:
        """Whether nothing is to be waited for but the others of the same turn of the event loop."""
        return self._elsewhere is None and not self._delay_s

    @property
    def max_rows(self) -> int:
        """Most rows of one batch."""
        return self._max_rows

    @contextmanager
    def _calling(self) -> Iterator[None]:
        if self._callers >= self._most_callers:
            raise InputError("overloaded", "More requests wait for this model than may. Nothing was predicted or kept.")
        self._callers += 1
        try:
            yield
        finally:
            self._callers -= 1

    async def _in_line(self, row: Row) -> Score:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(row, loop.create_future())
        self._line.append(waiting)
        if len(self._under_way) < self._processes:
            if len(self._line) >= self._max_rows:
                self._begin()
            elif self._timer is None:
                wait = self._delay_s
                self._timer = loop.call_later(wait, self._begin) if wait else loop.call_soon(self._begin)
        return await waiting.score

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._elsewhere is None:
            self._score_here(self._next(self._max_rows))
            return
        free = self._processes - len(self._under_way)
        while free and self._line:
            batch = self._next(min(self._max_rows, math.ceil(len(self._line) / free)))
            free -= 1
            task = asyncio.get_running_loop().create_task(self._score_elsewhere(self._elsewhere, batch))
            self._under_way.add(task)
            task.add_done_callback(self._came_back)

    def _next(self, rows: int) -> list["_Waiting"]:
        """Returns the next in line, without those who have gone."""
        batch = [self._line.popleft() for _ in range(min(rows, len(self._line)))]
        return [waiting for waiting in batch if not waiting.score.done()]

    def _score_here(self, batch: list["_Waiting"]) -> None:
        if not batch:
            return
        model, rows = self._model, [waiting.row for waiting in batch]
        try:
            scores = [model.score_row(rows[0])] if len(rows) == 1 else checked(model.score(rows), len(rows))
        except KeyboardInterrupt as error:
            fail(batch, error)
            raise
        except BaseException as error:  # noqa: BLE001 (whatever it is, it is for those who wait)
            if len(batch) == 1:
                fail(batch, error)
                return
            for waiting in batch:
                self._score_here([waiting])
            return
        tell(batch, scores)

    async def _score_elsewhere(self, model: AsyncModel, batch: list["_Waiting"]) -> None:
        try:
            await self._score_awaited(model, batch)
        finally:  # whatever came in between, nobody is left waiting
            for waiting in batch:
                waiting.score.cancel()

    async def _score_awaited(self, model: AsyncModel, batch: list["_Waiting"]) -> None:
        if not batch:
            return
        try:
            scores = checked(await model.score_async([waiting.row for waiting in batch]), len(batch))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (as above)
            if len(batch) == 1 or isinstance(error, ScoringTimeoutError):
                fail(batch, error)
                return
            for waiting in batch:
                await self._score_awaited(model, [waiting])
            return
        except BaseException as error:
            fail(batch, error)
            if isinstance(error, KeyboardInterrupt):
                raise
            return
        tell(batch, scores)

    def _came_back(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._line and self._timer is None:
            self._begin()


class _Waiting(NamedTuple):
    row: Row
    score: asyncio.Future[Score]


def fail(batch: Sequence[_Waiting], error: BaseException) -> None:
    """Gives each caller the error; one that would mean something else to a coroutine as a ScoringError."""
    if not isinstance(error, Exception) or isinstance(error, StopIteration | StopAsyncIteration):
        cause, error = error, ScoringError(f"the model raises {type(error).__name__}")
        error.__cause__ = cause
    for waiting in batch:
        if not waiting.score.done():
            waiting.score.set_exception(error)


def tell(batch: Sequence[_Waiting], scores: Sequence[Score]) -> None:
    """Gives each caller its score; those who have gone get none."""
    for waiting, score in zip(batch, scores, strict=True):
        if not waiting.score.done():
            waiting.score.set_result(score)


def checked(scores: Sequence[Score], rows: int) -> Sequence[Score]:
    """Returns scores of which there are as many as rows.

    Raises:
        ScoringError: There are not.
    """
    if len(scores) != rows:
        raise ScoringError(f"the model gives {len(scores)} scores for {rows} rows")
    return scores


def together_of(package: Package, model: Model, most_callers: int = sys.maxsize) -> Together | None:
    """Returns how single rows of a model are scored together; None where each is better scored alone, at once.

    The package says so, or the model where the package does not. Whatever is computed elsewhere is awaited here.

    Args:
        package: Of the model.
        model: Gives the scores.
        most_callers: See :class:`Together`.
    """
    max_rows = package.max_batch_size
    if max_rows is None:
        max_rows = model.max_batch_size if isinstance(model, GainsTogether) else 1
    if max_rows == 1 and not isinstance(model, AsyncModel):
        return None
    return Together(model, max_rows, package.max_batch_delay_ms / 1000, most_callers=most_callers)
