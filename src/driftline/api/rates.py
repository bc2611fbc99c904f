"""How often a key may ask, counted over all processes of one server.

The token bucket of each key is one number in memory that the processes share: when it would be full again (the generic
cell rate algorithm, ITU-T I.371). There is no lock: two processes that ask in the same microsecond may both be let
through where one should be, which is as far as it can be wrong.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from driftline.api.keys import MAX_KEYS

_TIME: Final = struct.Struct("=d")
_SIZE_BYTES: Final = MAX_KEYS * _TIME.size


class Rates:
    """The buckets of all keys: each holds one second's worth of requests, and at least one.

    Args:
        path: The file that the processes share, made by :func:`make_rates`; None for buckets of this process alone.

    Raises:
        OSError: The file cannot be used.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._full_at = mmap.mmap(-1, _SIZE_BYTES)
            return
        with path.open("r+b") as file:
            self._full_at = mmap.mmap(file.fileno(), _SIZE_BYTES)

    def take(self, slot: int, rate_per_s: float, now: float) -> float:
        """Returns 0 after taking one request from a bucket, or the seconds until there is one to take.

        Args:
            slot: Whose bucket.
            rate_per_s: How many requests flow into it each second.
            now: The time in seconds, of a clock that all processes share and that is never set: ``time.monotonic``.
        """
        at = slot * _TIME.size
        (full_at,) = _TIME.unpack_from(self._full_at, at)
        full_at = max(full_at, now) + 1 / rate_per_s
        wait_s: float = full_at - now - max(1.0, 1 / rate_per_s)
        if wait_s > _ROUNDING_S:
            return wait_s
        _TIME.pack_into(self._full_at, at, full_at)
        return 0.0


_ROUNDING_S: Final = 1e-9


def make_rates(path: Path) -> Path:
    """Returns the path after a file with full buckets is there.

    Raises:
        OSError: The disk refuses. It is written, not only made long: a mapped page without room is a SIGBUS.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(bytes(_SIZE_BYTES))
    return path
