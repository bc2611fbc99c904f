"""What all processes share: the rules, the disks, the broker, chance, and the notes of the observer."""

from random import Random
from typing import Literal

from tests.protocol.model.broker import Broker
from tests.protocol.model.log import Log
from tests.protocol.model.outbox import OutboxDirectory, OutboxRoot, events_in
from tests.protocol.model.process import Process, Steps
from tests.protocol.model.rules import Harm, Rules, Violation
from tests.protocol.model.witness import Witness

Transport = Literal["local", "redis"]
Sync = Literal["os", "always"]


class Stage:
    """One machine with outboxes, one broker, some logs.

    Attributes:
        home: The log that the operator means; others are strangers.
        flaws: Which disk errors may happen.
        quiet: The faults have stopped.
        trace: What happened, if it is wanted.
    """

    def __init__(self, rng: Random, rules: Rules, transport: Transport, sync: Sync) -> None:
        self.rng, self.rules, self.transport, self.sync = rng, rules, transport, sync
        self.now = 0
        self.quiet = False
        self.flaws: frozenset[str] = frozenset()
        self.trace: list[str] | None = None
        self.witness = Witness()
        self.root = OutboxRoot()
        self.broker = Broker()
        self.logs: dict[str, Log] = {}
        self.home = self.add_log("A").name
        self._drawn = 0

    def draw(self) -> int:
        """Returns a number never returned before, in place of a random id."""
        self._drawn += 1
        return self._drawn

    def note(self, *what: object) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.now:5} " + " ".join(str(part) for part in what))

    def happens(self, flaw: str, chance: float) -> bool:
        return flaw in self.flaws and not self.quiet and self.rng.random() < chance

    def add_log(self, name: str, predecessors: tuple[str, ...] = ()) -> Log:
        log = self.logs[name] = Log(name, self.rules, predecessors)
        return log

    def official(self) -> Log:
        """The log that counts: the one obeyed, or the one that is meant to be."""
        obeyed, home = self.root.log_id(), self.logs[self.home]
        return home if obeyed is None or obeyed in home.predecessors else self.logs[obeyed]

    def check_deletion(self, directory: OutboxDirectory, first: int) -> None:
        """Is called before a segment is deleted.

        Raises:
            Violation: It holds an answered event that was never committed in the log that is obeyed.
        """
        log, witness = self.official(), self.witness
        logs = [log, *(self.logs[name] for name in log.predecessors)]
        safe = witness.excused.union(*(known.ever for known in logs))
        file = directory.segments.entries.get(first)
        for event in () if file is None else events_in(file):
            if event in witness.answered and event not in safe:
                raise Violation(Harm.DELETED, f"event {event}, {witness.where[event]}, log {log.name}")


def obey(stage: Stage, log: str, process: Process) -> Steps:
    """Makes the outboxes obey a log, if they obey none yet."""
    root, rules = stage.root, stage.rules
    yield  # the temporary file has been made, durably
    if rules.contact_first_wins:
        root.link_log_id(log)
    else:
        root.replace_log_id(log)
    if stage.happens("killed_at_contact", 0.5):
        stage.note("kill", process.name, "between link(2) and fsync")
        process.end()
    yield
    if rules.contact_synced:
        root.names.sync()
        yield
    stage.note("the outboxes obey", root.log_id())
