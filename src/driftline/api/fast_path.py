"""The fast path of ``/predict``: what comes in one turn of the loop is decided at once, and kept by one append.

It answers what the application would answer, to the byte, and leaves to it what has to wait for its client: bodies that
dawdle, connections that end.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

import structlog

from driftline.api.admission import OVERLOADED, TURN_S, Gate, Ticket
from driftline.api.guard import Guard
from driftline.api.keeper import Asked, Told
from driftline.api.metrics import REFUSED, REQUESTS, note_durations
from driftline.api.predict import Unscored, answer_of, internal_error, not_kept
from driftline.api.served import Served
from driftline.api.service import Service
from driftline.contract.problems import Answer
from driftline.errors import OutboxError

if TYPE_CHECKING:
    from driftline.api.connection import Connection

log = structlog.get_logger()

RawHeaders = list[tuple[bytes, bytes]]
Wanted = dict[str, str]

_WANTED: Final = {
    b"content-type": "content-type",
    b"content-encoding": "content-encoding",
    b"traceparent": "traceparent",
    b"x-request-id": "x-request-id",
}
_NOT_HERE: Final = frozenset({b"expect", b"transfer-encoding"})
_LENGTH_DIGITS: Final = 18


class FastPath:
    """Answers ``/predict`` for the connections of one process.

    Args:
        path: Where that is.
        service: Decides and keeps; must have started.
        gate: Where requests stand that come when a turn has lasted too long already.
        guard: Asks for keys; None asks for none.
        max_body_bytes: Longer bodies are left to the application.
    """

    def __init__(self, path: str, service: Service, gate: Gate, guard: Guard | None, *, max_body_bytes: int) -> None:
        assert service.predict is not None
        assert service.keeper is not None
        self.path: Final = path
        self.url: Final = path.encode()
        self._service: Final = service
        self._predict: Final = service.predict
        self._keeper: Final = service.keeper
        self._gate: Final = gate
        self._guard: Final = guard
        self._max_body_bytes: Final = max_body_bytes
        self._loop: Final = asyncio.get_running_loop()
        self._unscored: list[_Row] = []
        self._unscored_s = 0.0  # what scoring them will take
        self._row_s: Final[WeakKeyDictionary[Served, float]] = WeakKeyDictionary()
        self._entries: list[_Entry] = []
        self._answering: Final[set[asyncio.Task[None]]] = set()
        self._in_turn = False

    def wanted(self, headers: RawHeaders) -> Wanted | None:
        """Returns what of a request's headers matters, or None if the application is to answer it."""
        wanted: Wanted = {}
        length: bytes | None = None
        for name, value in headers:
            if (key := _WANTED.get(name)) is not None:
                text = value.decode("latin-1")
                wanted[key] = f"{wanted[key]}, {text}" if key in wanted else text
            elif name == b"content-length":
                length = value if length is None else b""
            elif name in _NOT_HERE:
                return None
        if length is None or not length.isdigit() or len(length) > _LENGTH_DIGITS:
            return None
        return wanted if int(length) <= self._max_body_bytes else None

    async def close(self) -> None:
        """Gives up the requests that wait for a model."""
        for answering in self._answering:
            answering.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def ask(self, connection: "Connection", headers: RawHeaders, wanted: Wanted, body: bytes) -> None:
        """Has a request answered: within this turn of the loop or the next, or when it is its turn in the line."""
        request = _Request(connection, headers, wanted, body, perf_counter())
        if self._gate.is_full() or self._unscored_s > TURN_S:
            self._stand(request, self._decide)
        else:
            self._decide(request, None)

    def _stand(self, request: "_Request", go_on: "_GoOn") -> None:
        def when_it_is_its_turn(ticket: Ticket | None) -> None:
            if (
                ticket is None
            ):  # counted as the application counts it, whose refusals are no matter of how long it takes
                REFUSED["overloaded"].inc()
                REQUESTS.labels(self.path, str(OVERLOADED.status)).inc()
                self._send(request, OVERLOADED)
            else:
                go_on(request, ticket)

        self._gate.stand(_Claim(request, when_it_is_its_turn))

    def _decide(self, request: "_Request", ticket: Ticket | None) -> None:
        if not self._in_turn:
            self._in_turn = True
            self._loop.call_soon(self._end_turn)
        answer: Answer | Asked | Unscored | None
        try:
            if self._guard is not None and (refusal := self._guard.refusal(request.headers)) is not None:
                code, answer = refusal
                REFUSED[code].inc()
            else:
                answer = self._predict.decide(request.wanted, request.body)
        except Exception as error:  # noqa: BLE001 (one request that nobody foresaw must not end the others)
            answer = self._failed(error)
        if answer is None:
            self._await_model(request, ticket)
        elif isinstance(answer, Unscored):
            self._unscored.append(_Row(request, answer, ticket))
            self._unscored_s += self._row_s.get(answer.served, 0.0)
        else:
            self._decided(request, answer, ticket)

    def _decided(self, request: "_Request", answer: Answer | Asked, ticket: Ticket | None) -> None:
        if isinstance(answer, Asked):
            self._entries.append(_Entry(request, answer, ticket))
        else:
            self._reply(request, answer, ticket)

    def _await_model(self, request: "_Request", ticket: Ticket | None) -> None:
        ticket = ticket or self._gate.enter()
        if ticket is None:
            self._stand(request, self._await_model)
            return
        answering = self._loop.create_task(self._answer(request, ticket))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, request: "_Request", ticket: Ticket) -> None:
        try:
            answer = await self._predict(request.wanted, request.body)
        except Exception as error:  # noqa: BLE001 (as above)
            answer = self._failed(error)
        self._reply(request, answer, ticket)

    def _end_turn(self) -> None:
        self._in_turn = False
        if self._unscored:
            self._score_all()
        entries, self._entries = self._entries, []
        if entries:
            self._keep(entries)

    def _score_all(self) -> None:
        rows, self._unscored, self._unscored_s = self._unscored, [], 0.0
        by_model: dict[Served, list[_Row]] = {}
        for row in rows:
            by_model.setdefault(row.unscored.served, []).append(row)
        for served, some in by_model.items():
            assert served.together is not None
            began = perf_counter()
            for start in range(0, len(some), served.together.max_rows):
                self._score(some[start : start + served.together.max_rows])
            self._row_s[served] = (perf_counter() - began) / len(some)

    def _score(self, rows: Sequence["_Row"]) -> None:
        if len(rows) > 1:
            try:
                asked = self._predict.score_all([row.unscored for row in rows])
            except Exception:  # noqa: BLE001, S110 (whose fault it is shows one by one)
                pass
            else:
                for row, each in zip(rows, asked, strict=True):
                    self._decided(row.request, each, row.ticket)
                return
        for row in rows:
            try:
                answer = self._predict.score(row.unscored)
            except Exception as error:  # noqa: BLE001 (as above)
                answer = self._failed(error)
            self._decided(row.request, answer, row.ticket)

    def _keep(self, entries: Sequence["_Entry"]) -> None:
        asked = [entry.asked for entry in entries]
        told: list[Told] = []
        try:
            told = self._keeper.tell(asked)
            self._keeper.append(asked, told)
        except Exception as error:  # noqa: BLE001 (as above)
            if len(entries) > 1:
                for entry in entries:  # there may be room for some, or but one that fails
                    self._keep([entry])
                return
            self._leave(entries)
            if isinstance(error, OutboxError):
                self._unkept(entries, told, error)
            else:
                self._reply(entries[0].request, self._failed(error))
            return
        self._leave(entries)  # the disk is waited for without a place
        synced = self._keeper.sync_soon()
        if synced is None:
            self._kept(entries, asked, told)
        else:
            synced.add_done_callback(partial(self._synced, entries, asked, told))

    def _synced(
        self,
        entries: Sequence["_Entry"],
        asked: Sequence[Asked],
        told: Sequence[Told],
        synced: "asyncio.Future[None]",
    ) -> None:
        error = synced.exception()
        if error is None:
            self._kept(entries, asked, told)
        else:
            assert isinstance(error, OutboxError)
            self._unkept(entries, told, error)

    def _kept(self, entries: Sequence["_Entry"], asked: Sequence[Asked], told: Sequence[Told]) -> None:
        for entry, each in zip(entries, told, strict=True):
            self._send(entry.request, answer_of(each, logged=True))
        self._keeper.note_kept(asked, told)
        REQUESTS.labels(self.path, "200").inc(len(entries))
        now = perf_counter()
        note_durations([now - entry.request.arrived for entry in entries])

    def _unkept(self, entries: Sequence["_Entry"], told: Sequence[Told], error: OutboxError) -> None:
        for entry, each in zip(entries, told, strict=True):
            try:
                self._keeper.note_unkept(error)
            except OutboxError:
                answer = not_kept(error)
            else:
                answer = answer_of(each, logged=False)
            self._reply(entry.request, answer)

    def _leave(self, entries: Sequence["_Entry"]) -> None:
        for entry in entries:
            if entry.ticket is not None:
                self._gate.leave(entry.ticket)

    def _reply(self, request: "_Request", answer: Answer, ticket: Ticket | None = None) -> None:
        self._send(request, answer)
        if ticket is not None:
            self._gate.leave(ticket)
        REQUESTS.labels(self.path, str(answer.status)).inc()
        note_durations([perf_counter() - request.arrived])

    def _send(self, request: "_Request", answer: Answer) -> None:
        try:
            request.connection.reply(answer, last=self._service.parting)
        except Exception as error:  # the others of the turn are owed their answers
            log.error("connection.failed", exc_info=error)
            request.connection.transport.abort()

    def _failed(self, error: Exception) -> Answer:
        log.error("request.failed", route=self.path, exc_info=error)
        REFUSED["internal_error"].inc()
        return internal_error()


class _Request(NamedTuple):
    """A whole request, and when it was."""

    connection: "Connection"
    headers: RawHeaders
    wanted: Wanted
    body: bytes
    arrived: float


class _Row(NamedTuple):
    """A request that is decided as soon as it is scored."""

    request: _Request
    unscored: Unscored
    ticket: Ticket | None


class _Entry(NamedTuple):
    """A request that is decided, and answered when its event is kept."""

    request: _Request
    asked: Asked
    ticket: Ticket | None


_GoOn = Callable[[_Request, Ticket | None], None]


class _Claim:
    """A request in the line."""

    __slots__ = ("_request", "_then")

    def __init__(self, request: _Request, then: Callable[[Ticket | None], None]) -> None:
        self._request = request
        self._then = then

    def done(self) -> bool:
        return self._request.connection.transport.is_closing()

    def set_result(self, result: Ticket | None, /) -> None:
        asyncio.get_running_loop().call_soon(self._then, result)
