"""One schedule: processes that take turns at random, faults between them, and the quiet afterwards."""

from random import Random

from tests.protocol.model.api import Api, appender, syncer
from tests.protocol.model.check import judge, unfinished
from tests.protocol.model.log import Log
from tests.protocol.model.outbox import OutboxRoot
from tests.protocol.model.process import Process
from tests.protocol.model.rules import Harm, Rules, Violation
from tests.protocol.model.stage import Stage, Sync, Transport
from tests.protocol.model.survey import survey
from tests.protocol.model.worker import Worker

API_SLOTS = 2
_RESTART_CHANCE = 0.02
_QUIET_ROUNDS = 400
"""Within so many turns of every task, all must be done once the faults have stopped."""


class World:
    """All processes on their stage.

    Attributes:
        apis: The process in each slot, dead or alive.
        workers: All workers there ever were.
        commands: What the operator has started.
        log_backup: Set by a finished backup command.
        outbox_backup: A copy of the outbox root.
    """

    def __init__(self, rng: Random, rules: Rules, transport: Transport, sync: Sync) -> None:
        self.stage = Stage(rng, rules, transport, sync)
        self.apis: list[Api | None] = [None] * API_SLOTS
        self.workers: list[Worker] = []
        self.commands: list[Process] = []
        self.log_backup: Log | None = None
        self.outbox_backup: OutboxRoot | None = None

    def start_api(self, slot: int) -> None:
        api = self.apis[slot] = Api(self.stage, slot)
        api.tasks = [appender(api), survey(api)]
        if self.stage.sync == "always":
            api.tasks.append(syncer(api))
        self.stage.note("start", api.name)

    def start_worker(self, log: Log) -> None:
        self.workers = [worker for worker in self.workers if worker.alive]
        self.workers.append(Worker(self.stage, log))
        self.stage.note("start", self.workers[-1].name)

    def workers_of(self, log: Log) -> list[Worker]:
        return [worker for worker in self.workers if worker.alive and worker.log is log]

    def processes(self) -> list[Process]:
        return [process for process in (*self.apis, *self.workers, *self.commands) if process and process.alive]

    def step(self) -> None:
        """Lets one task of one process go on; now and then, a dead process is started again."""
        stage = self.stage
        stage.now += 1
        stage.broker.time += 1
        if stage.rng.random() < _RESTART_CHANCE:
            self._restart_one(stage.rng.randrange(API_SLOTS + 1))
        ready = [process for process in self.processes() if process.tasks and process.frozen_until <= stage.now]
        if ready:
            process = stage.rng.choice(ready)
            process.step(stage.rng.randrange(len(process.tasks)))

    def settle(self) -> None:
        """Stops the faults, starts what is down, and waits for all that was answered to be in the log.

        Raises:
            Violation: It is not, or not once, or something is never done.
        """
        stage = self.stage
        stage.quiet, stage.broker.away = True, False
        stage.note("--- the faults have stopped")
        self._send_strangers_away()
        left = ""
        for turn in range(_QUIET_ROUNDS):
            stage.now += 1
            stage.broker.time += 1
            self._keep_running()
            for process in self.processes():
                process.frozen_until = 0
                for task in list(process.tasks):
                    if task in process.tasks:
                        process.step(process.tasks.index(task))
            if stage.official().refused:
                break
            if turn % 5 == 4 and not (left := unfinished(stage, self.apis)):
                break
        else:
            raise Violation(Harm.STUCK, left)
        judge(stage)

    def _send_strangers_away(self) -> None:
        """With several live logs there is no first contact, until somebody has seen to it."""
        if self.stage.root.log_id() is None or not self.stage.rules.log_ids:
            for worker in self.workers:
                if worker.log is not self.stage.official():
                    worker.end()

    def _keep_running(self) -> None:
        """As a supervisor does: there is an API process, and a worker of the log that is obeyed."""
        stage, official = self.stage, self.stage.official()
        stage.home = official.name
        if not self.workers_of(official) and not official.refused:
            self.start_worker(official)
        if self.apis[0] is None or not self.apis[0].alive:
            self.start_api(0)

    def _restart_one(self, number: int) -> None:
        if number < API_SLOTS:
            api = self.apis[number]
            if api is None or not api.alive:
                self.start_api(number)
        elif not self.workers_of(self.stage.official()):
            self.start_worker(self.stage.official())
