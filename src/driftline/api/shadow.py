"""Challengers beside the answer: they score what was asked once it is answered, and nobody waits for them."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import structlog
from prometheus_client import Counter

from driftline.api.keeper import Keeper, Origin
from driftline.api.lineup import Challenger
from driftline.api.roster import Roster
from driftline.api.served import Scored, Served
from driftline.contract.request import Features
from driftline.contract.schema import Score
from driftline.errors import InputError, OutboxError, ScoringError
from driftline.scoring import AsyncModel

log = structlog.get_logger()

MOST_ROWS: Final = 10_000
BATCH_ROWS: Final = 256
GATHER_S: Final = 0.005
HEAVY_S: Final = 0.0005
KEPT_S: Final = 0.00003  # what it takes, at least, to keep a score
TRIALS: Final = 5
STOP_S: Final = 0.5

_DROPPED: Final = Counter(
    "driftline_shadow_dropped_total", "Rows that a challenger was to score beside the answer and did not.", ["reason"]
)
DROPPED: Final = {
    reason: _DROPPED.labels(reason)
    for reason in ("queue_full", "no_score", "scoring_failed", "outbox_full", "outbox_unavailable", "failed", "stopped")
}


class _Asked(NamedTuple):
    """One row that was answered."""

    scored: Scored
    request_id: str
    origin: Origin


class Shadows:
    """Has challengers score what was answered.

    Rows gather for a moment, in which the answer leaves and others come. Then a light model scores in the loop, in
    turns of about :data:`HEAVY_S`; a request may have to wait for one. A model that takes longer than that for one row
    scores many at a time in a thread. The queue of a challenger has a bound, and rows that find it full are dropped and
    counted: under load the answers go first.

    Args:
        roster: Says who is a challenger of whom.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster: Final = roster
        self._queues: Final[dict[Challenger, deque[_Asked]]] = {}
        self._filled: Final = asyncio.Event()
        self._idle: Final = asyncio.Event()
        self._idle.set()
        self._in_hand = 0
        self._failing: set[tuple[str, str]] = set()
        self._costs: Final[WeakKeyDictionary[Challenger, _Cost]] = WeakKeyDictionary()

    def offer(self, answered: Served, scored: Sequence[Scored], request_ids: Sequence[str], origin: Origin) -> None:
        """Takes rows that were answered and kept; costs nothing where nobody is a challenger."""
        for challenger in self._roster.shadows(answered):
            queue = self._queues.setdefault(challenger, deque())
            room = MOST_ROWS - len(queue)
            if room < len(scored):
                DROPPED["queue_full"].inc(len(scored) - room)
            for each, request_id in zip(scored[:room], request_ids[:room], strict=True):
                queue.append(_Asked(each, request_id, origin))
            self._filled.set()
            self._idle.clear()

    async def run(self, keeper: Keeper) -> None:
        """Scores what comes, for ever.

        Args:
            keeper: Keeps the scores, as events of the kind ``shadow`` under the request ids of the answers.
        """
        while True:
            await self._filled.wait()
            await asyncio.sleep(GATHER_S)
            while self._queues:
                challenger, rows = self._next_rows()
                self._in_hand = len(rows)
                try:
                    await self._score(challenger, rows, keeper)
                except Exception:  # it must not end what serves the others
                    DROPPED["failed"].inc(len(rows))
                    log.exception("shadow.failed")
                await asyncio.sleep(0)
            self._in_hand = 0
            self._filled.clear()
            self._idle.set()

    async def stop(self) -> None:
        """Gives what is queued a moment; the rest is dropped."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._idle.wait()
        except TimeoutError:
            DROPPED["stopped"].inc(self._in_hand + sum(map(len, self._queues.values())))
            self._queues.clear()

    def _next_rows(self) -> tuple[Challenger, list[_Asked]]:
        """Of one challenger after the other."""
        challenger = next(iter(self._queues))
        queue = self._queues.pop(challenger)
        at_most = BATCH_ROWS
        if not isinstance(challenger.served.model, AsyncModel):
            at_most = self._costs.setdefault(challenger, _Cost()).rows_at_once
        rows = [queue.popleft() for _ in range(min(at_most, len(queue)))]
        if queue:
            self._queues[challenger] = queue
        return challenger, rows

    async def _score(self, challenger: Challenger, rows: list[_Asked], keeper: Keeper) -> None:
        served = challenger.served
        features = [challenger.features(row.scored.features) for row in rows]
        try:
            scores = await self._scores(challenger, features)
        except ScoringError as error:
            DROPPED[error.code].inc(len(rows))
            self._say_failing(served, error)
            return
        kept = []
        for row, each, score in zip(rows, features, scores, strict=True):
            try:
                kept.append((row.request_id, Scored(each, served.outputs.of(score)), row.origin))
            except InputError:
                DROPPED["no_score"].inc()
            except ScoringError as error:
                DROPPED[error.code].inc()
                self._say_failing(served, error)
        try:
            keeper.keep_beside(served, kept)
        except OutboxError as error:
            DROPPED[error.code].inc(len(kept))

    async def _scores(self, challenger: Challenger, features: Sequence[Features]) -> Sequence[Score]:
        model, inputs = challenger.served.model, challenger.served.decoder.inputs
        rows = [inputs(each) for each in features]
        if isinstance(model, AsyncModel):
            return await model.score_async(rows)
        cost = self._costs[challenger]
        if cost.is_known and not cost.is_heavy:
            return model.score(rows)

        def timed() -> tuple[Sequence[Score], float]:
            began = perf_counter()
            return model.score(rows), perf_counter() - began

        scores, took_s = await asyncio.to_thread(timed)
        if not cost.is_known:
            cost.note(took_s)
        return scores

    def _say_failing(self, served: Served, error: ScoringError) -> None:
        schema = served.schema
        if (who := (schema.name, schema.version)) not in self._failing:  # once: the counter has the rest
            self._failing.add(who)
            log.error("shadow.failing", model=schema.name, model_version=schema.version, error=error.message)


class _Cost:
    """What it takes to score one row: the least of the first calls, for loading is not scoring."""

    def __init__(self) -> None:
        self._trials = 0
        self._least_s = math.inf

    @property
    def is_known(self) -> bool:
        return self._trials >= TRIALS

    @property
    def is_heavy(self) -> bool:
        return self._least_s >= HEAVY_S

    @property
    def rows_at_once(self) -> int:
        if not self.is_known:
            return 1
        return BATCH_ROWS if self.is_heavy else max(1, int(HEAVY_S / (self._least_s + KEPT_S)))

    def note(self, took_s: float) -> None:
        self._trials += 1
        self._least_s = min(self._least_s, took_s)
