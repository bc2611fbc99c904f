"""What ``/feedback`` answers: outcomes are kept as predictions are, and no further looked into."""

import time
from collections.abc import Callable

import msgspec

from driftline.api.keeper import Headers
from driftline.api.metrics import ACCEPTED, REFUSED
from driftline.api.predict import JSON_HEADERS, check_request, refuse
from driftline.contract.checksum import with_checksum
from driftline.contract.event import SCHEMA_VERSION, FeedbackEvent, encode, timestamp
from driftline.contract.feedback import Feedback, Outcomes, read_feedback
from driftline.contract.problems import Answer, problem
from driftline.errors import InputError, OutboxFullError, OutboxUnavailableError
from driftline.outbox.outbox import Outbox


class FeedbackTaker:
    """Answers requests to ``/feedback``.

    Which prediction an outcome belongs to is found out by readers of the log: that prediction may have been made by
    another process, on another machine, and may not even be in the log yet.

    Args:
        outbox: Keeps the events; the one of this process's predictions, and used from the same loop.
        outcomes: Gives what an outcome may be now.
        durable: Whether the outbox has to sync an event before its request is answered.
        max_body_bytes: Longer bodies are refused.
        clock: Nanoseconds since 1970.
    """

    def __init__(
        self,
        outbox: Outbox,
        outcomes: Callable[[], Outcomes],
        *,
        durable: bool,
        max_body_bytes: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._outbox = outbox
        self._outcomes = outcomes
        self._durable = durable
        self._max_body_bytes = max_body_bytes
        self._clock = clock

    async def __call__(self, headers: Headers, body: bytes) -> Answer:
        """Returns the answer to a request; if it is 200, all of its events are in the outbox by then.

        They may be sent again whatever it is: an outcome that is in the log twice counts once.
        """
        now_ns = self._clock()
        try:
            check_request(headers, body, self._max_body_bytes)
            items = read_feedback(body, now_ns, self._outcomes())
        except InputError as error:
            return refuse(error)
        try:
            self._outbox.append_all(self._lines(items, timestamp(now_ns)))
            if self._durable:
                await self._outbox.synced()
        except (OutboxFullError, OutboxUnavailableError) as error:
            REFUSED[error.code].inc()
            return problem(error.code, "The feedback could not be kept. Send all of it again.")
        ACCEPTED.inc(len(items))
        return Answer(200, JSON_HEADERS, msgspec.json.encode({"accepted": len(items)}))

    def _lines(self, items: list[Feedback], told_at: str) -> list[bytes]:
        outbox = self._outbox
        return [
            with_checksum(
                encode(
                    FeedbackEvent(
                        item.request_id,
                        item.outcome,
                        item.at,
                        told_at,
                        SCHEMA_VERSION,
                        "feedback",
                        outbox.producer,
                        seq,
                    )
                )
            )
            for seq, item in enumerate(items, outbox.next_seq)
        ]
