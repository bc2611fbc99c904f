"""What a prediction takes from request headers. Headers that are wrong are ignored, except for the content type."""

import re
from typing import NamedTuple

LOGGED_HEADER = "Driftline-Logged"
"""An answer with this header, whose value is ``no``, is a prediction that could not be kept."""

_JSON_TYPE = re.compile(r"application/(?:json|[a-z0-9!#$&^_.-]+\+json)", re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)
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
