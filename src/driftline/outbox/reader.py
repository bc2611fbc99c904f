"""Reads an outbox directory in order: whole records, tombstones for what was damaged, and nothing unfinished."""

import os
from collections import OrderedDict
from typing import NamedTuple

from driftline.outbox.record import HEADER_BYTES, Record, decode, decode_run, find_next, needed
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts, segment_name

TOMBSTONE = b""
"""Stands for an event that cannot be read; no event is empty."""

_MARKS = 512
_WINDOW_BYTES = 64 << 10


class Chunk(NamedTuple):
    """Consecutive events of one producer.

    Attributes:
        first_seq: The seq of the first of them.
        events: Their bytes, or :data:`TOMBSTONE`.
    """

    first_seq: int
    events: list[bytes]


class OutboxReader:
    """A place in one outbox directory.

    A record counts as damaged only once something whole has been seen behind it, a record or a segment, for then its
    writer was done with it. What lies at the very end and is not whole is unfinished: a living writer may be at work on
    it, or may cut it back and write another in its place, so it is read again from disk each time.

    Args:
        root: Where the directory lies.
        producer: Whose it is; its owner may append while it is read.
        sets_aside: Bring damaged bytes to quarantine; not for one who only looks.

    Attributes:
        next_seq: The seq of the event that the next :meth:`read` begins with.
    """

    def __init__(self, root: OutboxRoot, producer: str, *, sets_aside: bool = True) -> None:
        self._root = root
        self._sets_aside = sets_aside
        self._producer = producer
        self._directory = root.path / producer
        self._segment: int | None = None
        self._fd: int | None = None
        self._offset = 0
        self._marks: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self.next_seq = 0

    def close(self) -> None:
        """Gives up the open file."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = self._segment = None

    def oldest(self) -> int | None:
        """Returns the first seq still held on disk, or None if there is no segment."""
        return next(iter(segment_firsts(self._directory)), None)

    def seek(self, seq: int) -> None:
        """Goes to an event; reads from the segment's beginning unless a read began there not long ago."""
        if seq == self.next_seq and self._fd is not None:
            return
        firsts = [first for first in segment_firsts(self._directory) if first <= seq]
        self.close()
        self.next_seq = seq
        if not firsts:
            return
        segment, offset = self._marks.get(seq, (firsts[-1], 0))
        if segment == firsts[-1]:
            self._open(segment, offset)

    def read(self, max_events: int, max_bytes: int) -> Chunk:
        """Returns the next events, at most so many, about so many bytes; none if there are no whole ones yet.

        Raises:
            OSError: The disk refuses to be read.
        """
        first_seq = self.next_seq
        events: list[bytes] = []
        while len(events) < max_events and not events:
            if self._fd is None and not self._open_segment_of(self.next_seq):
                break
            if self._read_some(events, max_events, max_bytes):
                continue
            if not self._step_over_end():
                break
        if events:
            self.next_seq = first_seq + len(events)
        return Chunk(first_seq, events)

    def end(self) -> int:
        """Goes behind the last whole event and returns the seq that the next one would have; reads one segment."""
        firsts = segment_firsts(self._directory)
        if firsts:
            self.seek(max(self.next_seq, firsts[-1]))
            while self.read(1 << 16, 1 << 20).events:
                pass
        return self.next_seq

    def quarantine_unfinished(self) -> int:
        """Sets aside what lies behind the last whole event, for its writer is gone, and returns how many bytes."""
        rest = self._rest()
        if rest:
            self._quarantine(rest)
        return len(rest)

    # -- inside a segment

    def _read_some(self, events: list[bytes], max_events: int, max_bytes: int) -> bool:
        """Takes records from here on; whether the place has moved."""
        before_segment = (self._segment or 0) - self.next_seq
        if before_segment > 0:  # lost with the end of an earlier segment; this one may be empty, and yet tells its seq
            events.extend([TOMBSTONE] * min(before_segment, max_events))
            return True
        buffer = self._pread(self._offset, max(max_bytes, HEADER_BYTES))
        if not buffer:
            return False
        if decode(buffer, 0) is None:
            buffer = self._reread_first(buffer)
        start = self._offset
        self._marks[self.next_seq] = (self._segment or 0, start)
        if len(self._marks) > _MARKS:
            self._marks.popitem(last=False)
        run, position = decode_run(buffer, 0, self.next_seq, max_events)
        events += run
        while len(events) < max_events and (record := decode(buffer, position)) is not None:
            if not self._take(record, events, max_events):
                break
            position = record.end
        self._offset = start + position
        return position > 0 or bool(events)

    def _take(self, record: Record, events: list[bytes], max_events: int) -> bool:
        """Adds a record, and tombstones for the seqs missing before it; False if they left no room for it."""
        expected = self.next_seq + len(events)
        if record.seq < expected:
            return True
        missing = min(record.seq - expected, max_events - len(events))
        events.extend([TOMBSTONE] * missing)
        if expected + missing < record.seq or len(events) == max_events:
            return False
        events.append(record.payload)
        return True

    def _reread_first(self, buffer: bytes) -> bytes:
        """Returns a buffer that begins with a whole record, stepping over damage; or one that does not, at the end."""
        buffer = self._pread(self._offset, max(len(buffer), needed(buffer, 0)))
        if decode(buffer, 0) is not None:
            return buffer
        window = max(len(buffer), _WINDOW_BYTES)
        # Not all that is left at once: with many damaged records in it, a segment would be read once for each.
        while find_next(rest := self._pread(self._offset, window), 1) is None:
            if len(rest) < window:
                return b""
            window *= 4
        rest = self._pread(self._offset, window)  # what lies before a whole record is settled now, so look once more
        if decode(rest, 0) is not None:
            return rest
        good = find_next(rest, 1)
        if good is None or self._segment is None:
            return b""
        self._quarantine(rest[:good])
        self._offset += good
        return rest[good:]

    def _step_over_end(self) -> bool:
        """Goes on to the next segment if there is one; whatever is left of this one is damaged."""
        following = [first for first in segment_firsts(self._directory) if first > (self._segment or 0)]
        if self._fd is None or self._segment is None or not following:
            return False
        rest = self._rest()  # read after the next segment was seen, so its writer is done with this one
        if rest and (decode(rest, 0) is not None or find_next(rest, 1) is not None):
            return True
        if rest:
            self._quarantine(rest)
        self.close()
        self._open(following[0], 0)
        return True

    # -- files

    def _quarantine(self, content: bytes) -> None:
        if self._sets_aside:
            self._root.quarantine(self._producer, segment_name(self._segment or 0), self._offset, content)

    def _open_segment_of(self, seq: int) -> bool:
        firsts = segment_firsts(self._directory)
        if not firsts:
            return False
        return self._open(max((first for first in firsts if first <= seq), default=firsts[0]), 0)

    def _open(self, segment: int, offset: int) -> bool:
        self.close()
        try:
            self._fd = os.open(self._directory / segment_name(segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # committed, and deleted by its owner
            return False
        self._segment, self._offset = segment, offset
        return True

    def _rest(self) -> bytes:
        size = os.fstat(self._fd).st_size if self._fd is not None else 0
        return self._pread(self._offset, max(0, size - self._offset))

    def _pread(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset) if self._fd is not None else b""
