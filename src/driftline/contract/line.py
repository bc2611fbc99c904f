"""One line of the log from its parts: what many events of one moment share is encoded once.

To the byte a line is what :func:`~driftline.contract.event.encode` makes of the event, with its checksum.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from driftline.contract.event import SCHEMA_VERSION, TAIL, encode

_AT_SEQ: Final = [name for name, _ in TAIL].index("seq")
_Before: Final = msgspec.defstruct("Before", TAIL[:_AT_SEQ], frozen=True, gc=False)
_After: Final = msgspec.defstruct("After", TAIL[_AT_SEQ + 1 :], frozen=True, gc=False)

_REQUEST_ID: Final = len(b'{"request_id":""')


def before_seq(at: str, kind: Literal["prediction", "shadow"], producer: str) -> bytes:
    """Returns what stands between what the model gave and the event's seq."""
    return b"," + encode(_Before(at, SCHEMA_VERSION, kind, producer))[1:-1] + b',"seq":'


def after_seq(model: str, version: str, origin: Sequence[str | None]) -> bytes:
    """Returns what stands between the event's seq and its checksum.

    Args:
        model: Who scored.
        version: Its version.
        origin: Trace id, ``traceparent`` and ``X-Request-Id`` of the request.
    """
    return b"," + encode(_After(model, version, *origin))[1:-1]


def bodies(
    told: Sequence[tuple[str, bytes]], features: Sequence[bytes], first_seq: int, before: bytes, after: Sequence[bytes]
) -> list[bytes]:
    """Returns lines without their last member, the checksum, and without their closing brace.

    Args:
        told: Of each its request id, and what its client is told: a JSON object of that id and what the model gave.
        features: Of each the JSON of what is kept of what was sent.
        first_seq: Of the first; the others follow it.
        before: See :func:`before_seq`.
        after: Of each, see :func:`after_seq`.
    """
    made = []
    for seq, ((request_id, body), kept, end) in enumerate(zip(told, features, after, strict=True), first_seq):
        at = _REQUEST_ID + len(request_id)
        made.append(b'%b,"features":%b%b%b%d%b' % (body[:at], kept, body[at:-1], before, seq, end))
    return made
