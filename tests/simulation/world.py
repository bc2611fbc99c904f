"""API processes and workers of the real code, on simulated disks and a simulated broker."""

import json
import zlib
from collections.abc import Callable, Coroutine
from contextvars import Context
from pathlib import Path
from random import Random
from typing import Any

from driftline.api.batch import Limits, predict_batch
from driftline.errors import DriftlineError, LogDamagedError
from tests.simulation.engine.client import Network
from tests.simulation.engine.disk import Disk
from tests.simulation.engine.loop import CURRENT, Crash, Process, VirtualLoop
from tests.simulation.engine.server import Server
from tests.simulation.engine.witness import Event, Harm, Violation, Witness
from tests.simulation.lives import SCHEMA, Life, Setting, begin_api, begin_worker

_HEADERS = {"content-type": "application/json"}
_LIMITS = Limits(rows=10, body_bytes=10_000)
_SETTLE_MAX_S = 30.0
_SETTLE_LOOK_S = 0.25
_MAX_LIVES = 2
_SHORT_S = 0.1
"""How long others go on while a write has stopped short and the writer does not know it."""


class World:
    """Two machines and a broker, or one machine.

    Args:
        setting: What does not change.
        base: An empty directory.
        trace: Takes what happens, line by line, if it is wanted.

    Attributes:
        digest: A checksum of all that has happened so far.
        quiet: The faults are over.
        powers: Processes whose death is a power cut of their machine.
        lives: All processes that there have been.
        backup: The operator's last one of the log.
        refusing: Disks have refused something: a process may have ended for that.
    """

    def __init__(self, setting: Setting, base: Path, trace: list[str] | None = None) -> None:
        self.setting = setting
        self.rng = Random(setting.seed)
        self.loop = VirtualLoop(self.rng)  # type: ignore[abstract]  # nobody asks for sockets
        self.disk = Disk(base, self.rng, self.loop.time)
        self.server = Server(self.rng, self.loop.time)
        self.network = Network(self.server, self.rng)
        self.worker_machine = "api" if setting.transport == "local" else "worker"
        self.outbox_dir = base / "api" / "outbox"
        self.log_dir = base / self.worker_machine / "logs"
        self.witness = Witness(self.log_dir, self.outbox_dir)
        self.digest = 0
        self.quiet = False
        self.refusing = False
        self.powers: set[Process] = set()
        self.lives: list[Life] = []
        self.backup: bytes | None = None
        self._base = base
        self._trace = trace
        self._born = 0
        self._meanwhile = False
        self._restarts: list[tuple[float, str]] = []
        self._violation: Violation | None = None
        self.disk.note = self.note
        self.disk.before_unlink = self._before_unlink
        self.disk.recorded = self.witness.recorded
        self.disk.stopped_short = self._go_on_meanwhile

    def note(self, what: str) -> None:
        """Writes down what happens."""
        line = f"{self.loop.now:10.4f} {what}".replace(f"{self._base}/", "")  # another one in each run
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self._trace is not None:
            self._trace.append(line)

    def new_id(self, bits: int = 128) -> str:
        """Returns hexadecimal digits in place of the operating system's random ones."""
        return f"{self.rng.getrandbits(bits):0{bits // 4}x}"

    def blame(self, violation: Violation) -> None:
        """Ends the run after the callback that is running; the first violation counts."""
        self._violation = self._violation or violation

    # -- processes

    def begin(self) -> None:
        """Sets up the machines, and starts one process of each kind."""
        for machine in dict.fromkeys(("api", self.worker_machine)):
            (self._base / machine).mkdir()
        self.start("api")
        self.start("worker")

    def start(self, kind: str) -> None:
        """Starts a process, unless there are two of its kind."""
        if len(self.living(kind)) >= _MAX_LIVES:
            return
        self._born += 1
        process = Process(f"{kind}{self._born}", "api" if kind == "api" else self.worker_machine)
        self.witness.counts[f"{kind} starts"] += 1
        self.note(f"{process.name} starts")
        begin = begin_api if kind == "api" else begin_worker
        self.lives.append(begin(self.setting, process, self.loop, self.outbox_dir, self.log_dir))

    def living(self, kind: str) -> list[Life]:
        """Returns the processes of a kind that are alive."""
        return [life for life in self.lives if life.process.name.startswith(kind) and life.going]

    def as_process(self, life: Life, act: Callable[[], None]) -> None:
        """Does something in the place of a process, such as what a signal's handler does."""

        async def once() -> None:
            act()

        self._spawn_in(life.process, once)

    def request(self, life: Life) -> None:
        """Has a client ask an API process for a prediction, or for a batch of them."""
        rows = self.rng.choice((1, 1, 1, 1, 4))
        asked = [{feature.name: round(self.rng.random(), 3) for feature in SCHEMA.features} for _ in range(rows)]
        body = json.dumps(asked if rows > 1 else asked[0]).encode()

        async def ask() -> None:
            service = life.service
            if service is None or service._phase != "serving" or service._outbox is None or service.predict is None:
                return
            producer, seq = service._outbox.producer, service._outbox.next_seq
            # A refused append may have retired the id, so that the number is given again: by the answer it is known.
            if rows > 1:
                answer = await predict_batch(service, service.roster.default(), _LIMITS, _HEADERS, body)
            else:
                answer = await service.predict(_HEADERS, body)
            self.witness.counts[f"answered {answer.status}"] += 1
            if answer.status == 200:
                told = json.loads(answer.body)
                for at, given in enumerate(told if rows > 1 else [told]):
                    self.witness.answer(Event(producer, seq + at), given["request_id"], given["probability"])

        self._spawn_in(life.process, ask)

    def _spawn_in(self, process: Process, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except Violation as violation:
                self.blame(violation)

        context = Context()
        context.run(CURRENT.set, process)
        self.loop.create_task(guarded(), context=context)

    # -- time

    def run(self, seconds: float) -> None:
        """Lets time pass.

        Raises:
            Violation: The promise was broken meanwhile.
        """
        deadline = self.loop.now + seconds
        while self.loop.now < deadline:
            until = min([deadline, *(at for at, _ in self._restarts)])
            self.loop.run_for(max(0.0, until - self.loop.now), lambda: bool(self.disk.died or self._violation))
            self._look()
            for due in [restart for restart in self._restarts if restart[0] <= self.loop.now]:
                self._restarts.remove(due)
                self.start(due[1])

    def settle(self) -> None:
        """Ends the faults, waits until nothing is left to do, and judges.

        Raises:
            Violation: The promise is broken.
        """
        self.note("the faults are over")
        self.quiet = True
        self.disk.disarm()
        self.disk.flaws.clear()
        self.server.away, self.network.loss = False, 0.0
        for life in self.lives:
            life.process.frozen_until = 0.0
        deadline = self.loop.now + _SETTLE_MAX_S
        while not self._drained():
            if self.loop.now >= deadline:
                raise Violation(Harm.STUCK, f"after {_SETTLE_MAX_S:.0f} s without a fault")
            for kind in ("api", "worker"):
                if not self.living(kind):
                    self.start(kind)
            self.run(_SETTLE_LOOK_S)
        self.note("drained")
        self.witness.judge()

    def end(self) -> None:
        """Ends all processes and gives up their files."""
        for life in self.lives:
            if life.process.alive:
                self.kill(life)
        self.disk.died.clear()

    def kill(self, life: Life) -> None:
        """``kill -9``."""
        self.loop.bury(life.process)
        self.disk.reap(life.process)

    def _drained(self) -> bool:
        outboxes = [life.service._outbox for life in self.living("api") if life.service is not None]
        if not outboxes or None in outboxes or not self.living("worker"):
            return False
        return self.witness.drained({outbox.producer: outbox.next_seq for outbox in outboxes if outbox is not None})

    def _look(self) -> None:
        """Sees who has died or ended, and why."""
        died, self.disk.died = self.disk.died, []
        for process in died:
            life = next(life for life in self.lives if life.process is process)
            self.kill(life)
            if process in self.powers:
                self.cut_power(process.machine)
            self.restart_later(process.name)
        if self._violation is not None:
            raise self._violation
        for life in self.lives:
            if life.process.alive and life.main.done():
                self._ended(life)

    def _ended(self, life: Life) -> None:
        error = life.main.exception()
        self.kill(life)
        self.note(f"{life.process.name} has ended: {error!r}")
        refused = isinstance(error, DriftlineError) and not isinstance(error, LogDamagedError) and self.refusing
        if error is not None and not refused:
            raise Violation(Harm.FAILED, f"{life.process.name}: {error!r}")
        self.restart_later(life.process.name)

    def restart_later(self, name: str) -> None:
        """Has another one started in place of one that has ended, at once or after a while."""
        if not self.quiet:
            kind = name.rstrip("0123456789")
            self._restarts.append((self.loop.now + self.rng.choice((0.0, 0.1, 0.5, 1.5)), kind))

    def cut_power(self, machine: str) -> None:
        """Ends all processes of a machine, and takes from its disk what was not synced."""
        self.note(f"POWER CUT of machine {machine}")
        self.witness.counts["power cuts"] += 1
        for life in self.lives:
            if life.process.alive and life.process.machine == machine:
                self.kill(life)
                self.restart_later(life.process.name)
        self.disk.cut_power(machine)
        self.witness.recorded()

    def _go_on_meanwhile(self, process: Process) -> None:
        """Lets others see what a process of the API will have cut off when it goes on."""
        if process.name.startswith("api") and not self._meanwhile:
            self.note(f"{process.name} is in its system call while others go on")
            self._meanwhile = True
            self.loop.run_others(process, _SHORT_S, lambda: bool(self.disk.died or self._violation))
            self._meanwhile = False
            self.note(f"{process.name} goes on")

    def _before_unlink(self, path: Path) -> None:
        try:
            self.witness.check_deletion(path)
        except Violation as violation:
            self.blame(violation)
            raise Crash from violation
