"""A line of the log vouches for itself: its last member is the CRC-32 of everything before that member."""

import re
import zlib
from collections.abc import Iterable
from typing import Final

_MEMBER: Final = b',"crc32":"%08x"}'
_MEMBER_BYTES: Final = len(_MEMBER % 0)
_LIKE_IT: Final = re.compile(rb',".{5}":".{8}"}', re.DOTALL)


def with_checksum(event: bytes) -> bytes:
    """Returns a JSON object, which has at least one member, with its checksum as one more."""
    body = event[:-1]
    return body + _MEMBER % zlib.crc32(body)


def all_with_checksum(bodies: Iterable[bytes]) -> list[bytes]:
    """Returns JSON objects that lack no more than their closing brace, each with its checksum as one more member."""
    crc32 = zlib.crc32
    return [body + _MEMBER % crc32(body) for body in bodies]


def vouched(line: bytes) -> bool:
    """Whether a line ends with its checksum, and is what it was when it got that."""
    return line[-_MEMBER_BYTES:] == _MEMBER % zlib.crc32(line[:-_MEMBER_BYTES])


def claims_checksum(line: bytes) -> bool:
    """Whether a line ends with a checksum, or what is left of one; one from before there were any does not."""
    return _LIKE_IT.fullmatch(line[-_MEMBER_BYTES:]) is not None
