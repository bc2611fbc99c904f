"""What travels: consecutive events of one producer, addressed to one log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from driftline.outbox.reader import TOMBSTONE

SEPARATOR = b"\n"
_EMPTY_LINE = re.compile(2 * SEPARATOR)
"""Searched for in a third of the time that ``in`` takes."""
_SEQ_STOP = 1 << 63
"""Beyond what the log can record."""


@dataclass(frozen=True, slots=True)
class Batch:
    r"""Consecutive events of one producer.

    Attributes:
        log: Id of the log they are for; no other takes them.
        producer: Whose events they are.
        base_seq: The oldest seq that the producer's outbox still holds: nothing below it can be asked for again.
        first_seq: The seq of the first event.
        count: How many there are; 0 only tells ``base_seq``.
        payload: The events with ``\n`` between them; an empty one is a tombstone.
        whole: There are known to be no tombstones.
    """

    log: str
    producer: str
    base_seq: int
    first_seq: int
    count: int
    payload: bytes
    whole: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, log: str, producer: str, base_seq: int, first_seq: int, events: Sequence[bytes]) -> Self:
        """Returns the batch of these events; none of them contains a newline."""
        whole = TOMBSTONE not in events
        return cls(log, producer, base_seq, first_seq, len(events), SEPARATOR.join(events), whole)

    @property
    def stop_seq(self) -> int:
        """The seq behind the last event."""
        return self.first_seq + self.count

    def well_formed(self) -> bool:
        """Whether the numbers agree with each other and with the payload."""
        if min(self.base_seq, self.first_seq, self.count) < 0 or self.first_seq < self.base_seq:
            return False
        if self.stop_seq >= _SEQ_STOP:
            return False
        if self.count == 0:
            return not self.payload
        return self.payload.count(SEPARATOR) == self.count - 1

    def events(self, from_seq: int) -> list[bytes]:
        """Returns the events from this seq on, tombstones among them."""
        return self.payload.split(SEPARATOR)[from_seq - self.first_seq :] if self.count else []

    def has_tombstones(self) -> bool:
        """Whether one of the events is a tombstone."""
        payload = self.payload
        if self.whole:
            return False
        if not payload:
            return self.count > 0
        return payload.startswith(SEPARATOR) or payload.endswith(SEPARATOR) or _EMPTY_LINE.search(payload) is not None
