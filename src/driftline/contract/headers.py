"""What a prediction takes from request headers. Headers that are wrong are ignored, except for the content type."""

import re
from collections.abc import Sequence
from typing import NamedTuple

LOGGED_HEADER = "Driftline-Logged"
"""An answer with this header, whose value is ``no``, is a prediction that could not be kept."""

_JSON_TYPE = re.compile(r"application/(?:json|[a-z0-9!#$&^_.-]+\+json)", re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)
_WEIGHT = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", re.IGNORECASE)
_UTF8 = {"utf-8", "utf8", "us-ascii"}
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})"
    r"-(?P<trace_id>(?!0{32})[0-9a-f]{32})"
    r"-(?!0{16})[0-9a-f]{16}"
    r"-[0-9a-f]{2}"
)
_TRACEPARENT_CHARS = 55
_VISIBLE = re.compile(r"[!-~]{1,128}")


class Trace(NamedTuple):
    """The trace that a request belongs to.

    Attributes:
        trace_id: 32 hexadecimal digits.
        traceparent: The header, in the form of version 00.
    """

    trace_id: str
    traceparent: str


def is_json(content_type: str | None) -> bool:
    """Returns whether a body of this content type is read as JSON; one that has none is."""
    if content_type is None or content_type == "application/json":
        return True
    media_type = content_type.partition(";")[0].strip()
    charset = _CHARSET.search(content_type)
    return bool(_JSON_TYPE.fullmatch(media_type)) and (charset is None or charset[1].lower() in _UTF8)


def media_type(header: str) -> str:
    """Returns what a ``Content-Type``, or one part of an ``Accept``, names, without its parameters."""
    return header.partition(";")[0].strip().lower()


def most_wanted(accept: str | None, offers: Sequence[str]) -> str:
    """Returns which of these media types a client that sends this ``Accept`` (RFC 9110, 12.5.1) would rather have.

    It is the first where the client says nothing, or does not care, or wants none of them.
    """
    best, best_weight = offers[0], 0.0
    for part in (accept or "").split(","):
        name = media_type(part)
        weight = _weight(part)
        match = next((offer for offer in offers if name in {offer, "*/*", f"{offer.partition('/')[0]}/*"}), None)
        if match is not None and weight > best_weight:
            best, best_weight = match, weight
    return best


def _weight(part: str) -> float:
    found = _WEIGHT.search(part)
    return 1.0 if found is None else float(found[1])


def parse_traceparent(header: str | None) -> Trace | None:
    """Returns the trace named by a ``traceparent`` header, or None if it is missing or breaks W3C Trace Context.

    A version after 00 is read as far as 00 goes, as the specification asks.
    """
    if header is None:
        return None
    match = _TRACEPARENT.match(header)
    if match is None:
        return None
    rest = header[_TRACEPARENT_CHARS:]
    if rest and (match["version"] == "00" or not rest.startswith("-")):
        return None
    return Trace(match["trace_id"], f"00{match[0][2:]}")


def parse_request_id(header: str | None) -> str | None:
    """Returns an ``X-Request-Id`` of 1 to 128 visible ASCII characters, or None."""
    return header if header is not None and _VISIBLE.fullmatch(header) else None
