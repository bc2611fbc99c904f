"""The one function that decides what ``/predict`` answers; it knows no server and no framework."""

import math
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from msgspec import Struct
from msgspec.structs import astuple
from uuid_utils import uuid7

from driftline.api.metrics import ACCEPTED, REFUSED, UNLOGGED
from driftline.contract.checksum import with_checksum
from driftline.contract.event import SCHEMA_VERSION, Event, Prediction, encode, timestamp
from driftline.contract.headers import LOGGED_HEADER, is_json, parse_request_id, parse_traceparent
from driftline.contract.problems import Answer, problem, problem_of
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema
from driftline.errors import InputError, OutboxFullError, OutboxUnavailableError
from driftline.outbox.outbox import Outbox
from driftline.scoring import Model

log = structlog.get_logger()

JSON_HEADERS: Final = (("content-type", "application/json"),)
NOT_LOGGED: Final = (LOGGED_HEADER.lower(), "no")


class Headers(Protocol):
    """A request's headers; a dict will do."""

    def get(self, name: str, /) -> str | None:
        """Returns the value of a header by its name in lower case."""


def new_request_id() -> str:
    """Returns a UUIDv7."""
    return str(uuid7())


class Predictor:
    """Answers requests to ``/predict``.

    Args:
        schema: What the model takes and gives.
        model: Scores features.
        outbox: Keeps the events. Must be used by nobody else, and from the loop that calls this.
        durable: Whether the outbox has to sync an event before its request is answered.
        max_body_bytes: Longer bodies are refused.
        serve_unlogged: Answer what the outbox cannot keep, and say so in a header, instead of refusing it.
        clock: Nanoseconds since 1970.
        make_id: Gives a new request id at each call.
    """

    def __init__(
        self,
        schema: ModelSchema,
        model: Model,
        outbox: Outbox,
        *,
        durable: bool,
        max_body_bytes: int,
        serve_unlogged: bool = False,
        clock: Callable[[], int] = time.time_ns,
        make_id: Callable[[], str] = new_request_id,
    ) -> None:
        self._decode = RequestDecoder(schema).decode
        self._score_row = model.score_row
        self._threshold = schema.threshold
        self._model = schema.name
        self._model_version = schema.version
        self._outbox = outbox
        self._durable = durable
        self._max_body_bytes = max_body_bytes
        self._serve_unlogged = serve_unlogged
        self._clock = clock
        self._make_id = make_id
        self._keeping = True

    async def __call__(self, headers: Headers, body: bytes) -> Answer:
        """Returns the answer to a request.

        By then, if it is 200 and does not say otherwise in a header, the event is in the outbox.
        """
        try:
            features, probability = self._score(headers, body)
        except InputError as error:
            return refuse(error)

        request_id = self._make_id()
        predicted_class = 1 if probability >= self._threshold else 0
        trace = parse_traceparent(headers.get("traceparent"))
        trace_id, traceparent = trace if trace is not None else (None, None)
        outbox = self._outbox
        event = Event(
            request_id,
            features,
            probability,
            predicted_class,
            timestamp(self._clock()),
            SCHEMA_VERSION,
            "prediction",
            outbox.producer,
            outbox.next_seq,
            self._model,
            self._model_version,
            trace_id,
            traceparent,
            parse_request_id(headers.get("x-request-id")),
        )
        answer = Answer(200, JSON_HEADERS, encode(Prediction(request_id, probability, predicted_class)))
        try:
            outbox.append(with_checksum(encode(event)))
            if self._durable:
                await outbox.synced()
        except (OutboxFullError, OutboxUnavailableError) as error:
            return self._not_kept(error, answer)
        if not self._keeping:
            self._keeping = True
            log.info("predictions.resumed")
        ACCEPTED.inc()
        return answer

    def _score(self, headers: Headers, body: bytes) -> tuple[Struct, float]:
        check_request(headers, body, self._max_body_bytes)
        features = self._decode(body)
        probability = self._score_row(astuple(features))
        if not math.isfinite(probability):
            raise InputError("score_not_finite", "The model's score of these features is not a finite number.")
        return features, probability

    def _not_kept(self, error: OutboxFullError | OutboxUnavailableError, answer: Answer) -> Answer:
        if self._keeping:  # once, not for each request: the counter has the rest
            self._keeping = False
            event = "predictions.unlogged" if self._serve_unlogged else "predictions.refused"
            log.error(event, reason=error.code, error=error.message)
        if self._serve_unlogged:
            UNLOGGED[error.code].inc()
            return answer._replace(headers=(*answer.headers, NOT_LOGGED))
        REFUSED[error.code].inc()
        return problem(error.code, "The prediction could not be kept, so there is none. Nothing was lost; try again.")


def check_request(headers: Headers, body: bytes, max_body_bytes: int) -> None:
    """Returns if a body may be read as JSON.

    Raises:
        InputError: It is too long, or its headers say that it is something else.
    """
    if len(body) > max_body_bytes:
        raise too_large(max_body_bytes)
    if not is_json(headers.get("content-type")):
        raise InputError("unsupported_media_type", "The Content-Type must be application/json, in UTF-8.")
    if headers.get("content-encoding") not in {None, "", "identity"}:
        raise InputError("unsupported_media_type", "The body must not be compressed: leave Content-Encoding out.")
    if (coding := headers.get("transfer-encoding")) is not None and coding.lower() != "chunked":
        raise InputError("unsupported_media_type", "The body must not be compressed on its way: only chunked.")


def refuse(error: InputError) -> Answer:
    """Returns the answer to a request that is refused, and counts it."""
    REFUSED[error.reason].inc()
    return problem_of(error)


def too_large(max_body_bytes: int) -> InputError:
    """Returns the error of a body that is longer than allowed."""
    return InputError("body_too_large", f"The body is longer than {max_body_bytes} bytes.")
