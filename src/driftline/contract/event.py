"""The bytes of an event: one line of the log, encoded once and never again on its way there."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from driftline.contract.schema import Label

SCHEMA_VERSION: Final = 1


class Head(msgspec.Struct, frozen=True, gc=False):
    """How the event of a prediction begins; what the model gave comes next.

    Attributes:
        request_id: UUIDv7, the same as in the response.
        features: What is kept of what was sent, as :class:`~driftline.contract.logged.LoggedFeatures` gives it.
    """

    request_id: str
    features: msgspec.Struct


TAIL: Final = (
    ("timestamp", str),
    ("schema_version", int),
    ("kind", Literal["prediction", "shadow"]),
    ("producer", str),
    ("seq", int),
    ("model", str),
    ("model_version", str),
    ("trace_id", str | None),
    ("traceparent", str | None),
    ("client_request_id", str | None),
)
"""What follows, in every event of a prediction: when it was made (:func:`timestamp`), the version of this list of
fields, whether it was answered or made by a challenger beside the answer, ``(producer, seq)`` which is the event's
identity, who scored, and the request's W3C trace and ``X-Request-Id``."""
KEYS: Final = (*Head.__struct_fields__, *(name for name, _ in TAIL))
"""The keys of every line of a prediction, but for those of what the model gave."""


def event_type(outputs: Sequence[tuple[str, Any]]) -> Callable[..., msgspec.Struct]:
    """Returns the class of a model's events; its fields are the keys of a line, in their order.

    Args:
        outputs: The fields of what the model gives, with their types.
    """
    return msgspec.defstruct("Event", [*outputs, *TAIL], bases=(Head,), frozen=True, gc=False)


class FeedbackEvent(msgspec.Struct, frozen=True, gc=False):
    """What became of a prediction, told later; its fields are the keys of a line, in their order.

    Attributes:
        request_id: The prediction's.
        outcome: The true class, or the true number.
        at: When that became known, as :func:`timestamp` gives it. Of several outcomes for one prediction the latest
            counts; of several that are as late, the last in the log.
        timestamp: When it was told.
        schema_version: Of this list of fields.
        kind: What sort of event this is.
        producer: The outbox that accepted it.
        seq: Its number there, from 0. ``(producer, seq)`` is an event's identity.
    """

    request_id: str
    outcome: Label | float
    at: str
    timestamp: str
    schema_version: int
    kind: Literal["feedback"]
    producer: str
    seq: int


encode = msgspec.json.Encoder().encode


def timestamp(unix_ns: int) -> str:
    """Returns a time of the UTC clock as RFC 3339 with microseconds: ``2026-11-23T21:31:00.000001Z``."""
    seconds, ns = divmod(unix_ns, 1_000_000_000)
    return f"{_to_the_second(seconds)}.{ns // 1000:06d}Z"


@lru_cache(maxsize=2)
def _to_the_second(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))
