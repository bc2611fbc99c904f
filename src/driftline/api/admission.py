"""Which requests are worked on when more come than can be: the newest first, and each of the others gets a 503.

A process has one processor. Working on everything at once makes all requests late; refusing the surplus the moment it
comes makes the process busy with refusing, for that costs a third of an answer. So up to ``max_in_flight`` requests are
worked on and others stand in line: for a burst, in order and with patience. When the line does not get empty, it is no
burst. Then whoever has waited for more than a moment is given up, and the newest is next, whose client surely still
waits; and those given up are told so at a bounded pace. Until then they cost nothing, and their clients, who wait for
the answer, do not come again.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from time import perf_counter, thread_time
from typing import Final, NamedTuple, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftline.api.body import SLOW, read_rest
from driftline.api.docs import safe_headers
from driftline.api.metrics import REFUSED, REQUESTS
from driftline.api.observe import CLOSE
from driftline.api.routes import Form, Routes
from driftline.contract.problems import Answer, problem

TURN_S: Final = 0.01
BURST_S: Final = 0.1
MOMENT_S: Final = 0.01
SLOW_BODY_S: Final = 0.05
REFUSALS_PER_ANSWER: Final = 1 / 24
REFUSALS_PER_S: Final = 25
REFUSALS_AT_ONCE: Final = 50
REFUSALS_PER_TICK: Final = 20
HELD_S: Final = 5.0
TICK_S: Final = 0.01

OVERLOADED: Final = problem("overloaded", "More requests come than can be answered. Nothing was predicted or kept.")


class Ticket:
    """One request that was let in; it does not count while its client takes its time over the body."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts = True


class Gate:
    """Lets requests in, has them wait, or gives them up.

    Args:
        max_in_flight: How many requests are worked on at once.

    Attributes:
        parting: Whether nobody is to be kept waiting for a refusal, and each is the last on its connection.
    """

    def __init__(self, max_in_flight: int) -> None:
        self.parting = False
        self._max = max_in_flight
        self._in_flight = 0
        self._reading: dict[Ticket, float] = {}
        self._line: deque[_Waiting] = deque()
        self._line_since = 0.0
        self._given_up: deque[_Waiting] = deque()
        self._refusable = 1.0
        self._ticked = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._in_turn = False
        self._turn_began = 0.0
        self._turn_began_cpu = 0.0

    def enter(self) -> Ticket | None:
        """Returns a ticket when the request may be worked on at once."""
        if self.is_full():
            return None
        if self._in_flight >= self._max:
            self._overlook_slow_bodies(perf_counter())
            if self._in_flight >= self._max:
                return None
        self._in_flight += 1
        return Ticket()

    def enter_slow(self) -> Ticket:
        """Returns a ticket for a request that counts when its body, which has been waited for already, is there."""
        ticket = Ticket()
        ticket.counts = False
        return ticket

    async def wait(self) -> Ticket | None:
        """Returns a ticket when it is the request's turn, or None when it is to be refused."""
        claim: asyncio.Future[Ticket | None] = asyncio.get_running_loop().create_future()
        self.stand(claim)
        try:
            return await claim
        except asyncio.CancelledError:
            if claim.done() and not claim.cancelled() and (ticket := claim.result()):
                self.leave(ticket)
            raise

    def is_full(self) -> bool:
        """Whether whoever comes has to stand in line: others do, or this turn of the loop has taken too long already.

        Most requests are answered without a wait and never in flight beside another; so a turn is what can be too much.
        """
        if self._line:
            return True
        now = perf_counter()
        if not self._in_turn:
            self._in_turn, self._turn_began, self._turn_began_cpu = True, now, thread_time()
            asyncio.get_running_loop().call_soon(self._end_turn)
            return False
        # The clock goes on while others have the processor; the thread's own takes longer to look at.
        return now - self._turn_began > TURN_S and thread_time() - self._turn_began_cpu > TURN_S

    def stand(self, claim: "Claim") -> None:
        """Puts a request into the line; its result will be a ticket when it is its turn, or None for a refusal."""
        now = perf_counter()
        if not self._line:
            self._line_since = now
        self._line.append(_Waiting(now, claim))
        if self._timer is None:
            self._ticked = now
            self._tick_later()

    def leave(self, ticket: Ticket) -> None:
        """Says that the request is answered."""
        self._reading.pop(ticket, None)
        if ticket.counts:
            self._in_flight -= 1
            self._refusable += REFUSALS_PER_ANSWER
            if self._line:
                self._admit(perf_counter())

    def body_begins(self, ticket: Ticket) -> None:
        """Says that the request waits for its body; may be said again."""
        if ticket.counts:
            self._reading.setdefault(ticket, perf_counter())

    def body_ends(self, ticket: Ticket) -> None:
        """Says that the request has all of its body, and counts again."""
        self._reading.pop(ticket, None)
        if not ticket.counts:
            ticket.counts = True
            self._in_flight += 1

    def _end_turn(self) -> None:
        self._in_turn = False
        if self._line:
            self._admit(perf_counter())

    def _overlook_slow_bodies(self, now: float) -> None:
        while self._reading:
            ticket, since = next(iter(self._reading.items()))
            if now - since < SLOW_BODY_S:
                return
            del self._reading[ticket]
            ticket.counts = False
            self._in_flight -= 1

    def _admit(self, now: float) -> None:
        lasts = now - self._line_since >= BURST_S
        self._give_up_late(now - (MOMENT_S if lasts else BURST_S))
        while lasts and len(self._line) > self._max // 2 + 1:
            self._given_up.append(self._line.popleft())
        while self._line and self._in_flight < self._max:
            waiting = self._line.pop() if lasts else self._line.popleft()
            if not waiting.ticket.done():
                self._in_flight += 1
                waiting.ticket.set_result(Ticket())

    def _give_up_late(self, before: float) -> None:
        while self._line and self._line[0].since < before:
            self._given_up.append(self._line.popleft())

    def _tick_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now = perf_counter()
        self._overlook_slow_bodies(now)
        self._admit(now)
        self._refusable = min(self._refusable + REFUSALS_PER_S * (now - self._ticked), REFUSALS_AT_ONCE)
        self._ticked = now
        at_once = self.parting or not (self._in_flight or self._line)
        told = 0  # a thousand in one go would keep the next request waiting for a tenth of a second
        while (
            self._given_up
            and told < REFUSALS_PER_TICK
            and (at_once or self._refusable >= 1 or now - self._given_up[0].since >= HELD_S)
        ):
            told += 1
            waiting = self._given_up.popleft()
            if not waiting.ticket.done():
                self._refusable = max(0.0, self._refusable - 1)
                waiting.ticket.set_result(None)
        if self._line or self._given_up:
            self._tick_later()
        else:
            self._timer = None


class Claim(Protocol):
    """What a request that waits is told its turn by; a future will do."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, result: Ticket | None, /) -> None:
        """Takes the ticket, or None for a refusal."""


class _Waiting(NamedTuple):
    since: float
    ticket: Claim


class _Refusal(NamedTuple):
    """The messages of a refusal, made once: under the load that it is for, making it would cost answers."""

    start: Message
    last_start: Message
    body: Message

    @classmethod
    def of(cls, answer: Answer) -> "_Refusal":
        headers = [
            *((name.encode(), value.encode()) for name, value in answer.headers),
            *safe_headers(""),
            (b"content-length", str(len(answer.body)).encode()),
        ]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        body = {"type": "http.response.body", "body": answer.body}
        return cls(start, {**start, "headers": [*headers, CLOSE]}, body)


class Admission:
    """ASGI middleware with a gate.

    Args:
        app: What answers.
        gate: Decides.
        always: Paths that are answered whatever the load.
        routes: What is known of each path.
    """

    def __init__(self, app: ASGIApp, gate: Gate, always: Collection[str], routes: Routes) -> None:
        self._app = app
        self._gate = gate
        self._always = frozenset(always)
        self._routes = routes
        self._refusals: Final[dict[Form | None, _Refusal]] = {
            form: _Refusal.of(OVERLOADED if form is None else form(OVERLOADED)) for form in routes.forms()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Has a request answered, or refuses it."""
        if scope["type"] != "http" or scope["path"] in self._always:
            await self._app(scope, receive, send)
            return
        gate = self._gate
        ticket = gate.enter_slow() if SLOW in scope else gate.enter()
        if ticket is None:
            scope["arrived"] = perf_counter()
            ticket = await gate.wait()
        if ticket is None:
            await self._refuse(scope, receive, send)
            return

        async def receive_and_tell() -> Message:
            gate.body_begins(ticket)
            message = await receive()
            if not message.get("more_body"):
                gate.body_ends(ticket)
            return message

        left = False

        async def leave_and_send(message: Message) -> None:
            nonlocal left
            if not left:
                left = True
                gate.leave(ticket)  # the work is done, and the client may take its time over the answer
            await send(message)

        try:
            await self._app(scope, receive_and_tell, leave_and_send)
        finally:
            if not left:
                gate.leave(ticket)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = self._routes.place(scope["path"])
        refusal = self._refusals[place.form]
        if place.kept:
            REFUSED["overloaded"].inc()
            REQUESTS.labels(place.route, str(refusal.start["status"])).inc()
        await send(refusal.start if await read_rest(scope, receive) and not self._gate.parting else refusal.last_start)
        await send(refusal.body)
