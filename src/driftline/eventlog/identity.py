"""Who a line of the log is from."""

from typing import NamedTuple

import msgspec


class LineId(NamedTuple):
    """What identifies a line of the log: every event of a producer has its own seq."""

    producer: str
    seq: int


class _Identified(msgspec.Struct):
    producer: str
    seq: int


_decoder = msgspec.json.Decoder(_Identified)


def identity_of(line: bytes) -> LineId | None:
    """Returns who a line, without its newline, is from; None if it does not say."""
    try:
        event = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return LineId(event.producer, event.seq)
