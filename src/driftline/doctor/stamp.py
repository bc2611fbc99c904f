"""When an event says that it was made."""

from datetime import datetime

import msgspec


class _Stamped(msgspec.Struct):
    timestamp: datetime


_decoder = msgspec.json.Decoder(_Stamped)


def stamped_at(event: bytes) -> float | None:
    """Returns the Unix time that an event is stamped with; None if it has no stamp that can be read."""
    try:
        return _decoder.decode(event).timestamp.timestamp()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
