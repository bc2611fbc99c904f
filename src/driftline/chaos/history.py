"""What came of every request, on disk, in a fixed number of bytes for each: an hour of them is some 50 MB."""

import mmap
import os
import struct
import uuid
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

_RECORD: Final = struct.Struct("<BBH16sd")


class Outcome(IntEnum):
    """What the client knows of a request. What was never heard of again is UNKNOWN, and is so from the beginning."""

    UNKNOWN = 0
    ANSWERED = 1
    REFUSED = 2
    GARBLED = 3


class Entry(NamedTuple):
    """What came of one request.

    Attributes:
        outcome: See :class:`Outcome`.
        status: Of the response; 0 if there was none.
        request_id: Of the answer; of feedback the one it was given on.
        probability: Of the answer.
        predicted_class: Of the answer; of feedback its outcome.
    """

    outcome: Outcome
    status: int = 0
    request_id: str = ""
    probability: float = 0.0
    predicted_class: int = 0


class History:
    """The outcomes of a run's requests, by number.

    Args:
        path: The file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.sent = os.fstat(self._fd).st_size // _RECORD.size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    def next_number(self) -> int:
        """Returns the number of a request that is about to be sent; its outcome is unknown until it is known."""
        number, self.sent = self.sent, self.sent + 1
        self._write(number, Entry(Outcome.UNKNOWN))
        return number

    def answered(self, number: int, request_id: str, probability: float, predicted_class: int) -> None:
        """Notes a 200."""
        self._write(number, Entry(Outcome.ANSWERED, 200, request_id, probability, predicted_class))

    def refused(self, number: int, status: int) -> None:
        """Notes a response that promises nothing."""
        self._write(number, Entry(Outcome.REFUSED, status))

    def garbled(self, number: int) -> None:
        """Notes that what came back is no response of ours."""
        self._write(number, Entry(Outcome.GARBLED))

    def entries(self) -> Iterator[Entry]:
        """Yields the outcomes in the order of the numbers, in constant memory."""
        if not self.sent:
            return
        with mmap.mmap(self._fd, self.sent * _RECORD.size, prot=mmap.PROT_READ) as content:
            for number in range(self.sent):
                yield _decode(content, number)

    def entry(self, number: int) -> Entry:
        """Returns the outcome of one request."""
        return _decode(os.pread(self._fd, _RECORD.size, number * _RECORD.size), 0)

    def _write(self, number: int, entry: Entry) -> None:
        request_id = uuid.UUID(entry.request_id).bytes if entry.request_id else bytes(16)
        record = _RECORD.pack(entry.outcome, entry.predicted_class, entry.status, request_id, entry.probability)
        os.pwrite(self._fd, record, number * _RECORD.size)


def _decode(content: bytes | mmap.mmap, number: int) -> Entry:
    outcome, predicted_class, status, request_id, probability = _RECORD.unpack_from(content, number * _RECORD.size)
    name = str(uuid.UUID(bytes=request_id)) if outcome == Outcome.ANSWERED else ""
    return Entry(Outcome(outcome), status, name, probability, predicted_class)
