"""One event as it lies in a segment: a header with its seq and a checksum, then its bytes.

    magic (4) | crc32 of what follows (4) | seq (8) | length (4) | payload (length)

All integers are little-endian. The seq is in the header so that a scan which has met damage knows where it is when it
finds the next good record, and the magic is there to be searched for.
"""

import struct
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from driftline.contract.checksum import crc32
from driftline.errors import OutboxUnavailableError

MAGIC = b"\xd7DR\x01"
PAYLOAD_MAX_BYTES = 1 << 28
"""No event is longer; a length beyond it is damage, and is not waited for."""

_HEADER = struct.Struct("<4sIQI")
_CHECKED = struct.Struct("<QI")
HEADER_BYTES = _HEADER.size
_CHECKED_AT = HEADER_BYTES - _CHECKED.size

_AT_ONCE = 256
"""So many records are made at once: more do not stay in the processor's cache."""


class Record(NamedTuple):
    """A whole record found in a buffer.

    Attributes:
        seq: Its number among the events of its producer, from 0.
        payload: The event, as it was appended.
        end: Offset in the buffer just behind it.
    """

    seq: int
    payload: bytes
    end: int


def encode(seq: int, payload: bytes) -> bytes:
    """Returns the bytes that are appended to a segment for this event.

    Raises:
        OutboxUnavailableError: It is too long.
    """
    length = len(payload)
    if length > PAYLOAD_MAX_BYTES:
        raise _too_long()
    crc = crc32(payload, crc32(_CHECKED.pack(seq, length)))
    return _HEADER.pack(MAGIC, crc, seq, length) + payload


class Records(NamedTuple):
    """Records whose seqs follow one another.

    Attributes:
        parts: The bytes that are appended to a segment for them, in a few parts.
        events: How many there are.
    """

    parts: list[bytes]
    events: int


def encode_all(first_seq: int, payloads: Iterable[bytes]) -> Records:
    """Returns the records of events, faster than one by one; no more than some of the events are held at once.

    Raises:
        OutboxUnavailableError: An event is too long.
    """
    checked, header = _CHECKED.pack, _HEADER.pack
    payloads, next_seq, whole = iter(payloads), first_seq, list[bytes]()
    while some := list(islice(payloads, _AT_ONCE)):
        lengths = list(map(len, some))
        if max(lengths) > PAYLOAD_MAX_BYTES:
            raise _too_long()
        parts = [b""] * (2 * len(some))
        parts[::2] = [
            header(MAGIC, crc32(payload, crc32(checked(seq, length))), seq, length)
            for seq, length, payload in zip(range(next_seq, next_seq + len(some)), lengths, some, strict=True)
        ]
        parts[1::2] = some
        next_seq += len(some)
        whole.append(b"".join(parts))
    return Records(whole, next_seq - first_seq)


def decode(buffer: bytes, start: int) -> Record | None:
    """Returns the record that begins at ``start``, or None if no whole, undamaged one does."""
    body = start + HEADER_BYTES
    if body > len(buffer):
        return None
    magic, crc, seq, length = _HEADER.unpack_from(buffer, start)
    end = body + length
    if magic != MAGIC or end > len(buffer):
        return None
    payload = buffer[body:end]
    if crc32(payload, crc32(_CHECKED.pack(seq, length))) != crc:
        return None
    return Record(seq, payload, end)


def decode_run(buffer: bytes, start: int, first_seq: int, most: int) -> tuple[list[bytes], int]:
    """Returns the payloads of whole, undamaged records whose seqs follow one another, and the offset behind the last.

    As :func:`decode` from ``start`` on, again and again, in a quarter of the time.

    Args:
        buffer: Where they lie.
        start: Where the first one begins.
        first_seq: Its seq; with another one there, there are none.
        most: No more than so many.
    """
    payloads: list[bytes] = []
    unpack, keep = _HEADER.unpack_from, payloads.append
    view, size = memoryview(buffer), len(buffer)
    for expected in range(first_seq, first_seq + most):
        body = start + HEADER_BYTES
        if body > size:
            break
        magic, crc, seq, length = unpack(buffer, start)
        end = body + length
        if seq != expected or magic != MAGIC or end > size or crc32(view[start + _CHECKED_AT : end]) != crc:
            break
        keep(buffer[body:end])
        start = end
    return payloads, start


def _too_long() -> OutboxUnavailableError:
    return OutboxUnavailableError("the event is too long")


def needed(buffer: bytes, start: int) -> int:
    """Returns how many bytes from ``start`` the record there claims to have; the header alone if it cannot be told."""
    if start + HEADER_BYTES > len(buffer):
        return HEADER_BYTES
    magic, _, _, length = _HEADER.unpack_from(buffer, start)
    return HEADER_BYTES + length if magic == MAGIC and length <= PAYLOAD_MAX_BYTES else HEADER_BYTES


def find_next(buffer: bytes, start: int) -> int | None:
    """Returns the offset of the first whole, undamaged record that begins at ``start`` or behind it, or None."""
    offset = buffer.find(MAGIC, start)
    while offset >= 0:
        if decode(buffer, offset) is not None:
            return offset
        offset = buffer.find(MAGIC, offset + 1)
    return None
