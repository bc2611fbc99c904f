"""Finds predictions in the log by request id: the id tells when it was made, and the spans where such are."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np
import structlog

from driftline.errors import LogError
from driftline.monitor.store import MonitorStore

log = structlog.get_logger()

SLACK_US: Final = 1_000_000
"""A prediction's time is that of its id but for the moment between the two, or a clock that was set just then."""

CACHED_BYTES: Final = 16 << 20
_US: Final = 1_000_000
_BEGINNING: Final = b'{"request_id":"'
_ID: Final = slice(len(_BEGINNING), len(_BEGINNING) + 36)
_PREDICTION: Final = b',"kind":"prediction",'
_SHADOW: Final = b',"kind":"shadow",'

Index = dict[str, tuple[int, bytes]]


class Lines(Protocol):
    """The committed lines of a log; :class:`~driftline.eventlog.reader.LogReader` is one."""

    def numbered(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yields these rows, each with its number, without damaged ones. Raises LogDamagedError if it cannot go on."""


class _Named(msgspec.Struct):
    kind: str
    request_id: str


class _Cached(NamedTuple):
    stop_row: int
    found: Index
    size_bytes: int


def made_us(request_id: str) -> int:
    """Returns when a request id was made, by itself: microseconds since 1970, to the millisecond (RFC 9562, UUIDv7)."""
    return int(request_id[:8] + request_id[9:13], 16) * 1000


class Finder:
    """Looks predictions up.

    It reads the spans of about that time, of some thousand rows each, and keeps the latest that it has read, up to
    16 MiB: who tells outcomes mostly tells of one time, and a span costs some milliseconds. Of all spans there are it
    remembers 32 bytes each.

    Args:
        store: Has the spans.
        lines: The log.
    """

    def __init__(self, store: MonitorStore, lines: Lines) -> None:
        self._store = store
        self._lines = lines
        self._decode = msgspec.json.Decoder(_Named).decode
        self._spans = np.zeros((0, 4), np.int64)
        self._cache: OrderedDict[int, _Cached] = OrderedDict()
        self._cached_bytes = 0

    def find(self, request_ids: Iterable[str], start_row: int = 0) -> Index:
        """Returns the row and the line of each that is there, by its id; what cannot be read any more is not there.

        Args:
            request_ids: UUIDv7, in lower case.
            start_row: What stands before it need not be found.
        """
        found: Index = {}
        for at, ids in self._candidates(request_ids, start_row).items():
            first_row, stop_row = self._spans[at, :2].tolist()
            index = self._index(first_row, stop_row)
            found |= {request_id: index[request_id] for request_id in ids if request_id in index}
        return found

    def _candidates(self, request_ids: Iterable[str], start_row: int) -> dict[int, list[str]]:
        """The ids that each span may hold."""
        seconds: dict[int, list[str]] = {}
        for request_id in request_ids:
            seconds.setdefault(made_us(request_id) // _US, []).append(request_id)
        if not seconds:
            return {}
        self._look()
        candidates: dict[int, list[str]] = {}
        _, stop_rows, min_us, max_us = self._spans.T
        for second, ids in sorted(seconds.items()):
            low, high = second * _US - SLACK_US, (second + 1) * _US + SLACK_US
            for at in np.flatnonzero((stop_rows > start_row) & (min_us <= high) & (max_us >= low)).tolist():
                candidates.setdefault(at, []).extend(ids)
        return candidates

    def _look(self) -> None:
        """Takes in the spans that are new, and the last one, which grows; an old one never changes."""
        known = self._spans[:-1]
        query = "SELECT first_row, stop_row, min_us, max_us FROM spans WHERE first_row >= ? ORDER BY first_row"
        since = int(self._spans[-1, 0]) if len(self._spans) else 0
        newer = self._store.connection.execute(query, (since,)).fetchall()
        self._spans = np.concatenate([known, np.array(newer, np.int64).reshape(-1, 4)])

    def _index(self, first_row: int, stop_row: int) -> Index:
        cached = self._cache.pop(first_row, None)
        if cached is not None:
            self._cached_bytes -= cached.size_bytes
        if cached is None or cached.stop_row != stop_row:
            cached = self._read(first_row, stop_row)
        self._cache[first_row] = cached
        self._cached_bytes += cached.size_bytes
        while self._cached_bytes > CACHED_BYTES and len(self._cache) > 1:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.size_bytes
        return cached.found

    def _read(self, first_row: int, stop_row: int) -> _Cached:
        index: Index = {}
        size_bytes = 0
        try:
            for row, line in self._lines.numbered(first_row, stop_row):
                request_id = self._request_id(line)
                if request_id is not None:
                    index[request_id] = (row, line)
                    size_bytes += len(line)
        except LogError as error:  # an old segment that is lost must not keep what is new from being read
            log.warning("outcomes.not_looked_up", first_row=first_row, stop_row=stop_row, error=error.message)
        return _Cached(stop_row, index, size_bytes)

    def _request_id(self, line: bytes) -> str | None:
        """The id of a prediction; a line as Driftline writes it need not be decoded for that, which is slow."""
        # A feature may be called kind, too, and then a challenger's line, of the same id, has both.
        if line.startswith(_BEGINNING) and line[_ID.stop : _ID.stop + 1] == b'"' and _SHADOW not in line:
            return line[_ID].decode("latin-1") if _PREDICTION in line else None
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            event = self._decode(line)
            return event.request_id if event.kind == "prediction" else None
        return None
