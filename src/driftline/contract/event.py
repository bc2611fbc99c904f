"""The bytes of an event: one line of the log, encoded once and never again on its way there."""

import time
from functools import lru_cache
from typing import Final, Literal

import msgspec

SCHEMA_VERSION: Final = 1


class Event(msgspec.Struct, frozen=True, gc=False):
    """A prediction that was made; its fields are the keys of a line, in their order.

    Attributes:
        request_id: UUIDv7, the same as in the response.
        features: What the model took, as :class:`~driftline.contract.request.RequestDecoder` gives it.
        probability: What it gave, in 0..1.
        predicted_class: 0 or 1.
        timestamp: As :func:`timestamp` gives it.
        schema_version: Of this list of fields.
        kind: What sort of event this is.
        producer: The outbox that accepted it.
        seq: Its number there, from 0. ``(producer, seq)`` is an event's identity.
        model: The model's name.
        model_version: Its version.
        trace_id: Of the W3C trace that the request belongs to.
        traceparent: That trace's header.
        client_request_id: The request's ``X-Request-Id``.
    """

    request_id: str
    features: msgspec.Struct
    probability: float
    predicted_class: int
    timestamp: str
    schema_version: int
    kind: Literal["prediction"]
    producer: str
    seq: int
    model: str
    model_version: str
    trace_id: str | None
    traceparent: str | None
    client_request_id: str | None


class FeedbackEvent(msgspec.Struct, frozen=True, gc=False):
    """What became of a prediction, told later; its fields are the keys of a line, in their order.

    Attributes:
        request_id: The prediction's.
        outcome: The true class, 0 or 1.
        at: When that became known, as :func:`timestamp` gives it. Of several outcomes for one prediction the latest
            counts; of several that are as late, the last in the log.
        timestamp: When it was told.
        schema_version: Of this list of fields.
        kind: What sort of event this is.
        producer: The outbox that accepted it.
        seq: Its number there, from 0. ``(producer, seq)`` is an event's identity.
    """

    request_id: str
    outcome: int
    at: str
    timestamp: str
    schema_version: int
    kind: Literal["feedback"]
    producer: str
    seq: int


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """The response to a request, with the very numbers of its event."""

    request_id: str
    probability: float
    predicted_class: int


encode = msgspec.json.Encoder().encode


def timestamp(unix_ns: int) -> str:
    """Returns a time of the UTC clock as RFC 3339 with microseconds: ``2026-11-23T21:31:00.000001Z``."""
    seconds, ns = divmod(unix_ns, 1_000_000_000)
    return f"{_to_the_second(seconds)}.{ns // 1000:06d}Z"


@lru_cache(maxsize=2)
def _to_the_second(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))
