"""The worker of a log: receives batches, has them committed, and says how far the log is."""

from tests.protocol.model.broker import ANY_LOG, Announcement, Batch, Entry
from tests.protocol.model.lane import BATCH_EVENTS
from tests.protocol.model.log import Log
from tests.protocol.model.outbox import scan
from tests.protocol.model.process import Process, Steps
from tests.protocol.model.scribe import Outcome, Scribe
from tests.protocol.model.stage import Stage, obey

_READ_ENTRIES = 3
_LEASE_STEPS = 40
_CHECK_TURNS = 4


class Worker(Process):
    """One life of a worker.

    Attributes:
        log: Whose it is.
        address: What the batches for it carry.
        key: Under what its acknowledgements stand: the log, and this life.
        position: Its place in the stream.
        epoch: The broker's run id, as it was last seen.
    """

    def __init__(self, stage: Stage, log: Log) -> None:
        super().__init__(f"worker-{log.name}-{stage.draw()}")
        self.stage, self.log = stage, log
        self.scribe = Scribe(stage, log, self)
        self.address = log.name if stage.rules.log_ids else ANY_LOG
        self.key = (self.address, stage.draw() if stage.rules.ack_per_life else 0)
        self.position = self.epoch = 0
        self.tasks = [self._run()]

    def _run(self) -> Steps:
        while not self._has_log():
            yield  # a standby
        yield
        if not (yield from self.scribe.recover()):
            self._give_up("refuses the log")
        elif self.stage.transport == "local":
            yield from self._embedded()
        else:
            while not (yield from self._beat()):
                yield
            self.tasks += [self._receive(), self._beat_on()]

    def _give_up(self, reason: str) -> None:
        self.stage.note(self.name, reason)
        self.end()

    def _has_log(self) -> bool:
        log = self.log
        if self.stage.rules.lock_log == "lease":
            return self._leases()
        if log.holder is None or not log.holder.alive:
            log.holder = self
        return log.holder is self

    def _leases(self) -> bool:
        """The naive alternative: a key in the broker, to be renewed in time; embedded, there is none."""
        broker, now = self.stage.broker, self.stage.now
        if self.stage.transport == "local":
            return True
        holder, until = broker.memory.leases.get(self.log.name, (self, 0))
        if broker.away or (holder is not self and until > now):
            return False
        broker.memory.leases[self.log.name] = (self, now + _LEASE_STEPS)
        return True

    # -- with a broker

    def _beat_on(self) -> Steps:
        while True:
            yield
            yield from self._beat()

    def _beat(self) -> Outcome:
        """Says which life speaks for the log, and all its numbers if the broker may have forgotten some."""
        broker, rules = self.stage.broker, self.stage.rules
        if broker.away:
            return False
        first, epoch, last_number = self.epoch == 0, broker.run, broker.memory.last_number
        yield
        forgotten = len(broker.memory.committed.get(self.key, {})) < len(self.scribe.state.committed)
        if broker.away:
            return False
        if first or ((epoch != self.epoch or forgotten) and rules.publish == "always"):
            broker.publish(self.key, dict(self.scribe.state.committed))
            yield
        if broker.away:
            return False
        if first or rules.announce_again:
            broker.memory.logs[self.address] = Announcement(self.key[1], self.log.predecessors, broker.time)
            yield
        if rules.reset_position and (epoch != self.epoch or last_number < self.position):
            self.position = 0
        self.epoch = epoch
        return True

    def _receive(self) -> Steps:
        broker, rules = self.stage.broker, self.stage.rules
        while True:
            yield
            if broker.away or (rules.lock_log == "lease" and not self._leases()):
                continue
            entries = broker.read(self.position, _READ_ENTRIES)
            if not entries:
                continue
            self.position = entries[-1].number
            yield
            before = self.scribe.state.committed
            batches = [entry.batch for entry in entries if self._addressed(entry)]
            if not (yield from self.scribe.take(batches)):
                self._give_up("refuses the log")
                return
            yield from self._acknowledge(batches, before)
            if not broker.away:
                broker.delete({entry.number for entry in entries if self._concerns(entry)})
            if not rules.remember_producers:
                self._forget()

    def _addressed(self, entry: Entry) -> bool:
        return entry.batch.log == self.address or not self.stage.rules.take_addressed

    def _concerns(self, entry: Entry) -> bool:
        """Whether nobody else will read it."""
        return self._addressed(entry) or entry.batch.log in self.log.predecessors

    def _acknowledge(self, batches: list[Batch], before: dict[str, int]) -> Steps:
        committed = self.scribe.state.committed
        touched = {batch.producer: committed.get(batch.producer, 0) for batch in batches}
        if self.stage.rules.publish == "on_commit":
            touched = {producer: seq for producer, seq in touched.items() if seq != before.get(producer, 0)}
        yield
        if not self.stage.broker.away:
            self.stage.broker.publish(self.key, touched)
        yield

    def _forget(self) -> None:
        """The naive alternative: a producer that has been quiet for long must be finished."""
        state = self.scribe.state.copy()
        if len(state.committed) > 3 and self.stage.rng.random() < 0.3:
            state.committed.pop(next(iter(state.committed)))
            self.log.database.commit(state, self.stage.rng)
            self.scribe.state = state

    # -- without

    def _embedded(self) -> Steps:
        turn = 0
        while True:
            yield
            if turn % _CHECK_TURNS == 0 and not (yield from self._be_obeyed(first=turn == 0)):
                self._give_up("is not the log that is obeyed")
                return
            turn += 1
            if not (yield from self.scribe.take(self._outboxes())):
                self._give_up("refuses the log")
                return
            if not self.stage.rules.remember_producers:
                self._forget()

    def _be_obeyed(self, *, first: bool) -> Outcome:
        stage, root = self.stage, self.stage.root
        rules, obeyed = stage.rules, root.log_id()
        if not (rules.log_ids and rules.contact_stored and rules.embedded_obeyed):
            return True
        if obeyed is None:
            yield from obey(stage, self.log.name, self)
            stage.witness.counts["first contact"] += 1
        elif obeyed in self.log.predecessors and rules.follow_successor:
            root.replace_log_id(self.log.name)
            yield
            root.names.sync()
            yield
        elif first and rules.contact_synced_by_readers:
            root.names.sync()
            yield
        return root.log_id() == self.log.name

    def _outboxes(self) -> list[Batch]:
        """Returns what the directories hold and the log has not."""
        batches = []
        for directory in self.stage.root.directories().values():
            if directory.firsts():
                held = scan(directory, self.stage.rules)
                committed = self.scribe.state.committed.get(directory.producer, 0)
                first = max(held.base, committed)
                events = held.events[first - held.base :][:BATCH_EVENTS]
                if events or (held.base > committed and self.stage.rules.say_nothing_left):
                    batches.append(Batch(self.address, directory.producer, held.base, first, tuple(events)))
        return batches
