"""Load that does not wait for answers: requests are due when they are due, as those of many independent users are.

It speaks just as much HTTP as it takes, on raw sockets: the less it costs to ask, the more can be asked.
"""

import random
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field

BODY = b'{"feature_1": 1.5, "feature_2": -0.7}'
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
REQUEST = HEAD + BODY
SLICE_S = 0.1
IDLE_S = 0.001
GIVE_UP_S = 15.0
STALE_S = 5.0


@dataclass
class Outcome:
    """What became of the requests of one phase.

    Attributes:
        seconds: How long requests were due.
        due: How many were.
        unsent: Those of them for which no connection was free: all of them waited for an answer.
        answered: Latency in seconds of each 200, from when its request was due, by the slice of time that was in.
        refused: Likewise of each 503.
        failed: Answers of another kind, and connections that broke.
        lags: Seconds that each request was sent after it was due: the generator's own fault.
    """

    seconds: float
    due: int = 0
    unsent: int = 0
    answered: dict[int, list[float]] = field(default_factory=dict)
    refused: dict[int, list[float]] = field(default_factory=dict)
    failed: int = 0
    lags: list[float] = field(default_factory=list)

    @property
    def lag_s(self) -> float:
        """The longest of the lags."""
        return max(self.lags, default=0.0)

    @property
    def goodput(self) -> float:
        """Predictions per second."""
        return sum(map(len, self.answered.values())) / self.seconds

    @property
    def refusals(self) -> int:
        """How many 503 there were."""
        return sum(map(len, self.refused.values()))

    def latency_ms(self, percent: float) -> float:
        """A percentile of the latencies of the predictions."""
        ordered = sorted(latency for slot in self.answered.values() for latency in slot)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


class OpenLoop:
    """Clients with keep-alive connections to one server.

    Args:
        port: Of the server, on 127.0.0.1.
        connections: How many requests can be on their way at once.
    """

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._idle: deque[int] = deque()
        self._idle_since: dict[int, float] = {}
        self._sent: dict[int, float] = {}
        self._began = 0.0
        for _ in range(connections):
            self._connect()

    def _connect(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=GIVE_UP_S)
        connection.setblocking(False)
        self._epoll.register(connection, select.EPOLLIN)
        self._sockets[connection.fileno()] = connection
        self._rest(connection.fileno(), time.perf_counter())

    def run(self, per_s: float, seconds: float, at_once: int | None = None) -> Outcome:
        """Returns what became of requests that are due ``per_s`` times a second, at random, for so many seconds.

        Args:
            per_s: How many are due each second.
            seconds: For how long.
            at_once: Never more than so many on their way, each sent as soon as there is room: ``per_s`` is ignored.
        """
        outcome, dice = Outcome(seconds), random.Random(0)
        self._began = now = time.perf_counter()
        due_at, end = now, now + seconds
        while now < end:
            if at_once is not None:
                while len(self._sent) < at_once and self._idle:
                    outcome.due += 1
                    self._send(now)
                wait_s = IDLE_S
            else:
                while due_at <= now and self._idle:
                    outcome.due += 1
                    outcome.lags.append(now - due_at)
                    self._send(due_at)
                    due_at += dice.expovariate(per_s)
                if due_at <= now:  # counted all at once: a generator that is busy with counting would slow the server
                    missed = 1 + round((now - due_at) * per_s)
                    outcome.due += missed
                    outcome.unsent += missed
                    due_at = now + dice.expovariate(per_s)
                wait_s = due_at - now if self._idle else IDLE_S
            self._receive(outcome, min(max(wait_s, 0.0), IDLE_S))
            now = time.perf_counter()
        return outcome

    def settle(self, outcome: Outcome | None = None) -> int:
        """Waits until all requests are answered; returns how many were not in time, whose connections are dropped.

        Args:
            outcome: Where these requests count, too: as answered, refused or failed, and as failed if not in time.
        """
        outcome = outcome or Outcome(1.0)
        end = time.perf_counter() + GIVE_UP_S
        while self._sent and time.perf_counter() < end:
            self._receive(outcome, 0.01)
        unanswered = list(self._sent)
        for descriptor in unanswered:
            self._drop(descriptor)
        outcome.failed += len(unanswered)
        return len(unanswered)

    def close(self) -> None:
        """Closes all connections."""
        for descriptor in list(self._sockets):
            self._drop(descriptor)
        self._epoll.close()

    def _rest(self, descriptor: int, now: float) -> None:
        self._idle.append(descriptor)
        self._idle_since[descriptor] = now

    def _send(self, due_at: float) -> None:
        descriptor = self._idle.pop()
        if due_at - self._idle_since[descriptor] > STALE_S:  # the server may be closing it, so clients open another
            self._drop(descriptor)
            self._connect()
            descriptor = self._idle.pop()
        self._sent[descriptor] = due_at
        self._sockets[descriptor].send(REQUEST)

    def _receive(self, outcome: Outcome, wait_s: float) -> None:
        select.select((self._epoll,), (), (), wait_s)  # for an epoll itself waits whole milliseconds
        for descriptor, _ in self._epoll.poll(0):
            try:
                answer = self._sockets[descriptor].recv(65536)
            except OSError:
                answer = b""
            if descriptor not in self._sent:  # closed because it was idle for long
                self._drop(descriptor)
                self._connect()
                continue
            now = time.perf_counter()
            due_at = self._sent.pop(descriptor)
            kind = {b"200": outcome.answered, b"503": outcome.refused}.get(answer[9:12])
            if kind is None:
                outcome.failed += 1
                self._drop(descriptor)
                continue
            kind.setdefault(int((due_at - self._began) / SLICE_S), []).append(now - due_at)
            self._rest(descriptor, now)

    def _drop(self, descriptor: int) -> None:
        self._sent.pop(descriptor, None)
        self._idle_since.pop(descriptor, None)
        if descriptor in self._idle:
            self._idle.remove(descriptor)
        self._sockets.pop(descriptor).close()
