"""One line of the log from its parts: what many events of one moment share is encoded once.

To the byte a line is what :func:`~driftline.contract.event.encode` makes of the event, with its checksum.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Final, Literal

import msgspec

from driftline.contract.checksum import all_with_checksum
from driftline.contract.columns import encoded
from driftline.contract.event import SCHEMA_VERSION, TAIL, encode

_AT_SEQ: Final = [name for name, _ in TAIL].index("seq")
_Before: Final = msgspec.defstruct("Before", TAIL[:_AT_SEQ], frozen=True, gc=False)
_After: Final = msgspec.defstruct("After", TAIL[_AT_SEQ + 1 :], frozen=True, gc=False)

_AT_ONCE: Final = 256
"""So many lines are made at once: of more, the first have left the processor's cache when they are needed again."""
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


def lines_of(
    heads: Sequence[Iterable[bytes]], first_seq: int, count: int, before: bytes, after: bytes
) -> Iterator[bytes]:
    """Yields the lines of many events that differ in their heads and in their ``seq`` alone, in a fifth of the time.

    Args:
        heads: What the lines begin with, up to what the model gave and without a closing brace: an iterable of
            ``count`` pieces for each piece of a head in turn, as of :func:`~driftline.contract.columns.pieces`.
        first_seq: Of the first; the others follow it.
        count: How many there are.
        before: See :func:`before_seq`.
        after: See :func:`after_seq`.
    """
    seqs = encoded(range(first_seq, first_seq + count))
    rows = zip(*heads, repeat(before, count), seqs, repeat(after, count), strict=True)
    return chain.from_iterable(_lines_of(map(b"".join, rows)))


def _lines_of(bodies: Iterator[bytes]) -> Iterator[list[bytes]]:
    while some := list(islice(bodies, _AT_ONCE)):
        yield all_with_checksum(some)


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
