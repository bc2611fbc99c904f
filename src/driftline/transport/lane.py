"""One outbox directory as the relay sees it: what is committed, what was sent, what may go."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from driftline.outbox.orphans import Orphan
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.transport.batch import Batch

_AGES = 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """How a relay sends.

    Attributes:
        window_batches: How many batches may be under way for each producer.
        batch_events: At most so many events in a batch.
        batch_bytes: About so many bytes in a batch.
        resend_after_s: Without progress for so long, it goes back to what is committed.
    """

    window_batches: int
    batch_events: int = 1024
    batch_bytes: int = 512 << 10
    resend_after_s: float = 1.0


class Lane:
    """The sending state of one producer, as in TCP: a window of numbered events, cumulative acknowledgements.

    The latest acknowledgement is believed, not the highest: a log that was restored has less than it once said.

    Args:
        root: Where the directory lies.
        owner: This process's outbox, or an orphan it has adopted.
        pace: How to send.

    Attributes:
        committed: The latest acknowledgement.
        sent: The seq behind the last event sent.
        restarting: What was sent, by this process or an earlier one, has to be taken back before anything is sent.
        rests_until: When its directory, having failed, may be tried again (monotonic clock, seconds).
    """

    def __init__(self, root: OutboxRoot, owner: Outbox | Orphan, pace: Pace) -> None:
        self.owner = owner
        self.producer = owner.producer
        self.committed = 0
        self.sent = 0
        self.restarting = True
        self.rests_until = 0.0
        self._root = root
        self._pace = pace
        self._reader = OutboxReader(root, owner.producer)
        self._window = 1
        self._progress_at = time.monotonic()
        self._end: int | None = None
        self._ages: deque[tuple[int, float]] = deque()

    @property
    def own(self) -> bool:
        """Whether this is the directory of this process, or was until its id was retired."""
        return isinstance(self.owner, Outbox)

    @property
    def retired(self) -> bool:
        """Whether its outbox goes on under another id: then this directory is an orphan, and its owner not its own."""
        return self.owner.producer != self.producer

    @property
    def outstanding(self) -> bool:
        """Whether an acknowledgement is being waited for."""
        return self.sent > self.committed

    def find_end(self) -> None:
        """Finds out how many events an orphan has; reads its last segment, so it belongs in a thread."""
        reader = OutboxReader(self._root, self.producer)
        self._end = reader.end()
        reader.close()

    @property
    def end(self) -> int | None:
        """The seq behind the last event of this directory; None for an orphan of which it has not been found yet."""
        if self.retired:
            return None
        return self.owner.next_seq if isinstance(self.owner, Outbox) else self._end

    def acknowledge(self, committed: int) -> None:
        """Believes an acknowledgement, and deletes the segments that are wholly committed."""
        if committed == self.committed:
            return
        if committed > self.committed:
            self._window = self._pace.window_batches
        if not self.retired:
            self.owner.release(committed)  # first: if the disk refuses, it is tried again
        self.committed = committed
        self._progress_at = time.monotonic()

    def begin_anew(self) -> None:
        """Forgets what is committed, too, because it was another log that said so."""
        self.committed = 0
        self.restart()

    def restart(self) -> None:
        """Forgets what was sent: it may be gone. Begins again from what is committed, with one batch."""
        self.sent = 0
        self.restarting = True
        self._window = 1
        self._progress_at = time.monotonic()

    def stalled(self) -> bool:
        """Whether nothing has moved for so long that what was sent must be taken back and sent again."""
        return self.outstanding and time.monotonic() - self._progress_at > self._pace.resend_after_s

    def next_batches(self, log: str) -> Iterator[Batch]:
        """Yields what may be sent now; each counts as sent when the next one is asked for.

        A directory that has nothing left, while the log lacks some of what it had, says so with an empty batch: a log
        that was restored would else wait for ever for what is gone.
        """
        base, end = self._reader.oldest(), self.end
        if base is None or end is None:
            return
        if base > self.committed and base == end:
            if self.sent < base:
                yield Batch.of(log, self.producer, base, base, [])
                self.sent = base
            return
        start = max(self.committed, base)
        if self.sent <= start:
            self.sent = start
            self._progress_at = time.monotonic()
        while self.sent < end and self.sent - start < self._window * self._pace.batch_events:
            self._reader.seek(self.sent)
            chunk = self._reader.read(self._pace.batch_events, self._pace.batch_bytes)
            if not chunk.events:
                return
            yield Batch.of(log, self.producer, base, chunk.first_seq, chunk.events)
            self.sent = chunk.first_seq + len(chunk.events)

    def drained(self) -> bool:
        """Whether every whole event of this directory is in the log."""
        return self.end is not None and self.committed >= self.end

    def remove(self) -> None:
        """Removes a drained directory; what the ledger needs of it is kept."""
        if isinstance(self.owner, Outbox):
            self.owner.discard()
        else:
            self.owner.remove(max(self._reader.end(), self.committed), self._reader)
        self.close()

    def close(self) -> None:
        """Gives up the files, and an orphan's lock: another process may adopt what is left."""
        self._reader.close()
        if isinstance(self.owner, Orphan):
            self.owner.let_go()

    def oldest_age_s(self, now: float) -> float:
        """Returns how long the oldest event that is not committed has been waiting, to about a second."""
        if isinstance(self.owner, Orphan):
            return 0.0 if self.drained() else self.owner.age_s()
        if not self._ages or self._ages[-1][0] < self.owner.next_seq:
            self._ages.append((self.owner.next_seq, now))
        if len(self._ages) > _AGES:  # every other one will do: the log has been away for long
            self._ages = deque(list(self._ages)[::2])
        while self._ages and self._ages[0][0] <= self.committed:
            self._ages.popleft()
        return now - self._ages[0][1] if self._ages else 0.0
