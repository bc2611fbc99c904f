"""The sending of one directory: window, acknowledgements, resending, deletion."""

from collections.abc import Generator
from itertools import pairwise

from tests.protocol.model.api import Api, Hold
from tests.protocol.model.broker import ANY_LOG, Batch
from tests.protocol.model.log import Log
from tests.protocol.model.outbox import Held, scan
from tests.protocol.model.process import Steps
from tests.protocol.model.rules import Harm, Violation

BATCH_EVENTS = 3
WINDOW_EVENTS = 9
ENTRIES_MAX = 15
"""More entries of one producer than this, none of them a fault's, and the broker's memory is not bounded."""
_PATIENCE = 8
"""Turns without progress after which a lane begins again."""


class Lane:
    """The sending state of one directory, as in TCP."""

    def __init__(self, api: Api, hold: Hold) -> None:
        self.api, self.stage, self.hold = api, api.stage, hold
        self.directory, self.own = hold.directory, hold.own
        self.committed = self.sent = self.idle = self.epoch = 0
        self.window = BATCH_EVENTS if self.stage.rules.take_back else WINDOW_EVENTS
        self.restarting, self.searched = True, False
        self.numbers: set[int] = set()

    def run(self) -> Steps:
        broker = self.stage.broker
        while self._mine():
            yield
            if self.stage.transport == "redis" and broker.away:
                self._restart()
                continue
            if self.epoch != broker.run:
                self.epoch = broker.run
                self._restart()
            heard = yield from self._listen()
            if heard and self._mine() and not self._retired() and self._drained():
                yield from self._remove()
                break
            if self.stage.transport == "redis" and self.api.obeyed is not None and self._mine():
                yield from self._send(self.api.obeyed)
        if self.hold in self.api.holds:
            self.api.holds.remove(self.hold)

    def _mine(self) -> bool:
        """Whether this process still has the directory; a survey lets go of one that was retired."""
        return self.hold in self.api.holds

    def _retired(self) -> bool:
        return self.own and self.api.own is not self.directory

    def _end(self) -> int:
        return self.api.next_seq if self.own else scan(self.directory, self.stage.rules).end

    def _drained(self) -> bool:
        if not self.own:
            return self.committed >= self._end()
        reached = self.committed if self.stage.rules.stop_after_ack else max(self.committed, self.sent)
        return self.api.flushed and reached >= self._end()

    # -- what is acknowledged

    def _listen(self) -> Generator[None, None, bool]:
        number = yield from _heard(self.api, self.directory.producer)
        self.idle += 1
        if number is None:
            return False
        if not self.stage.rules.believe_latest:
            number = max(number, self.committed)
        if number != self.committed:
            self.idle = 0
            self.window = WINDOW_EVENTS if number > self.committed else self.window
            self.committed = number
        yield from self._release()
        return True

    def _release(self) -> Steps:
        """Deletes what is acknowledged; the last segment stays."""
        rules, directory = self.stage.rules, self.directory
        if self._retired():  # its lock is given up, and the process appends somewhere else
            if rules.own_acknowledgements or self.api.own is None:
                return
            directory = self.api.own
        for first, following in pairwise(directory.firsts()):
            if (following if rules.whole_segments else first + 1) <= self.committed:
                self.stage.check_deletion(directory, first)
                directory.segments.remove(first)
                yield
            if self._retired() and rules.own_acknowledgements:
                return

    def _remove(self) -> Steps:
        """Removes a directory of which the log has everything."""
        stage, directory = self.stage, self.directory
        root, producer = stage.root, directory.producer
        if stage.rules.record_closed:
            root.closed_file().write((producer, max(self._end(), self.committed)))
            yield
            root.closed_file().sync()
            yield
        for first in directory.firsts():
            stage.check_deletion(directory, first)
            directory.segments.remove(first)
            yield
        for name, found in root.directories().items():
            if found is directory:
                root.names.remove(name)
        stage.note(self.api.name, "has drained", producer)
        yield
        root.names.sync()
        yield
        directory.owner = None
        if self.own:
            self.api.own = None

    # -- what is sent

    def _restart(self) -> None:
        """What was sent may be gone: again from what is acknowledged, with one batch."""
        if self.stage.rules.resend:
            self.sent, self.idle, self.restarting = 0, 0, True
            self.window = BATCH_EVENTS if self.stage.rules.take_back else WINDOW_EVENTS

    def _send(self, log: str) -> Steps:
        rules, producer = self.stage.rules, self.directory.producer
        if self.sent > self.committed and self.idle >= _PATIENCE:
            self._restart()
        if self.restarting:
            yield from self._take_back()
        held = scan(self.directory, rules)
        if held.base > self.committed and held.base == self._end():
            if rules.say_nothing_left and self.sent < held.base:
                yield from self._hand_over(Batch(log, producer, held.base, held.base, ()))
            return
        start = max(self.committed, held.base) if rules.base_is_oldest else self.committed
        if self.sent <= start:
            self.sent, self.idle = start, 0
        self.sent = max(self.sent, held.base)
        if self.sent < held.end and self.sent - start < self.window:
            base = held.base if rules.base_is_oldest else self.committed
            batch = self._next(log, base, held)
            if batch.events:
                yield from self._hand_over(batch)

    def _next(self, log: str, base: int, held: Held) -> Batch:
        events = held.events[self.sent - held.base :][:BATCH_EVENTS]
        if self.stage.rules.tombstones == "by_base":  # the naive alternative: damage is skipped by raising base_seq
            while events and events[0] is None:
                events = events[1:]
                self.sent += 1
                base = self.sent
            events = events[: events.index(None)] if None in events else events
        return Batch(log, self.directory.producer, base, self.sent, tuple(events))

    def _hand_over(self, batch: Batch) -> Steps:
        broker, witness = self.stage.broker, self.stage.witness
        yield
        if broker.away:
            self._restart()
            return
        number = broker.add(batch, sent=True)
        self.stage.note(self.api.name, "sends", batch)
        entries = sum(entry.sent and entry.batch.producer == batch.producer for entry in broker.memory.stream)
        witness.deepest = max(witness.deepest, entries)
        if entries > ENTRIES_MAX:
            raise Violation(Harm.FLOODED, f"{entries} entries of {batch.producer}")
        self.sent = max(self.sent, batch.stop_seq)
        yield
        if broker.away:  # its answer was lost, and with it the entry's number
            self._restart()
            return
        self.numbers.add(number)

    def _take_back(self) -> Steps:
        broker = self.stage.broker
        if self.stage.rules.take_back:
            if not self.searched:
                producer = self.directory.producer
                self.numbers |= {e.number for e in broker.memory.stream if e.batch.producer == producer}
            broker.delete(self.numbers)
            self.numbers, self.searched = set(), True
        self.restarting = False
        yield


def _heard(api: Api, producer: str) -> Generator[None, None, int | None]:
    """Asks what the log has committed of a producer; None if that is not to be learned."""
    stage, log = api.stage, api.obeyed
    absent = 0 if stage.rules.absent_is_zero else None
    if stage.transport == "local":
        home = stage.logs[stage.home]
        _open_record(api, home)
        yield
        return home.database.state.committed.get(producer, absent) if log in (home.name, ANY_LOG) else None
    said = stage.broker.memory.logs.get(log) if log is not None else None
    yield
    if log is None or said is None or stage.broker.away:
        return None
    return stage.broker.memory.committed.get((log, said.life), {}).get(producer, absent)


def _open_record(api: Api, log: Log) -> None:
    """Opens the log's SQLite file, once; the first to open it may bring an interrupted commit to life."""
    if api.record is not log:
        api.record = log
        log.database.open(api, api.stage.rng)
        log.ever |= log.events()
        if api.stage.rules.sync_record_read:
            log.database.sync()
