"""A run from its beginning to its verdict."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from driftline.chaos.disk import SmallDisk, room_for
from driftline.chaos.drain import drained
from driftline.chaos.faults import Effect, Faults
from driftline.chaos.history import History
from driftline.chaos.installation import Installation, install, small_disks
from driftline.chaos.judge import Judge, Verdict
from driftline.chaos.load import Load
from driftline.chaos.machine import Machine, survey
from driftline.chaos.memory import Memory
from driftline.chaos.plan import HISTORY, PLAN, Plan
from driftline.chaos.requests import Requests
from driftline.chaos.schedule import Fault, draw
from driftline.errors import ChaosError
from driftline.scoring import load_package, seed_package

_AFTERWARDS_S: Final = 3.0
_UNDO_WITHIN_S: Final = 90.0
_SAY_EVERY_S: Final = 5.0
_STOP_ORDER: Final = ("api", "worker", "redis")

Say = Callable[[str], None]


@dataclass
class Result:
    """What came of a run.

    Attributes:
        plan: What was to be run.
        machine: What was possible.
        schedule: The faults.
        effects: What each of those that were done came to, by its place in the schedule.
        verdict: The judge's.
        memory: The most that was taken.
        starts: How often each process was started.
        faults_s: How long there were faults; less than planned if it was cut short.
        drained_s: How long it took until nothing was in flight; None if it still was when the time was up.
        began_at: Unix time.
        folder: Where everything is, if it was kept.
    """

    plan: Plan
    machine: Machine
    schedule: list[Fault]
    effects: dict[int, Effect] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    memory: Memory = field(default_factory=Memory)
    starts: dict[str, int] = field(default_factory=dict)
    faults_s: float = 0.0
    drained_s: float | None = None
    began_at: float = field(default_factory=time.time)
    folder: Path | None = None


class Run:
    """One run of a plan.

    Args:
        plan: See :class:`Plan`.
        say: Gets a line for people now and then.
        enough: When set, the faults end early, and what there was is judged.
        keep: Keeps the folder whatever the verdict.
    """

    def __init__(self, plan: Plan, say: Say, enough: asyncio.Event, *, keep: bool) -> None:
        self._plan = plan
        self._say = say
        self._enough = enough
        self._keep = keep
        self._schema, self._model = load_package(seed_package())

    async def run(self, announce: Callable[[Result], None]) -> Result:
        """Returns what came of it. Everything that was started is dead then, and nothing is mounted.

        Args:
            announce: Is told the schedule before it begins.

        Raises:
            ChaosError: It could not be run.
        """
        plan = self._plan
        with _folder(self._say) as kept:
            folder = kept.path
            machine = survey(folder, with_redis=plan.transport == "redis")
            result = Result(plan, machine, draw(plan.seed, plan.minutes * 60, machine.abilities))
            announce(result)
            (folder / PLAN).write_bytes(msgspec.json.encode(plan))
            kept.disks = small_disks(folder, machine, room_for(plan.rate * plan.minutes * 60))
            with History(folder / HISTORY) as history:
                async with install(
                    folder,
                    machine,
                    disks=kept.disks,
                    api_processes=plan.api_processes,
                    outbox_sync=plan.outbox_sync,
                ) as installation:
                    problems = await self._torment(installation, history, result)
                self._say("judging")
                judge = Judge(self._schema, self._model, plan.seed)
                result.verdict = await asyncio.to_thread(
                    judge.judge, history, installation.outbox_dir, installation.log_dir
                )
            result.verdict.problems += [*problems, *_too_much(result.memory)]
            kept.keep = self._keep or not result.verdict.kept
            result.folder = folder if kept.keep else None
            return result

    async def _torment(self, installation: Installation, history: History, result: Result) -> list[str]:
        """Load, faults, and the quiet afterwards; returns what went wrong that the judge cannot see."""
        plan = self._plan
        load = Load(installation.api_port, Requests(self._schema, plan.seed), history, plan.connections, plan.rate)
        problems = []
        watching = asyncio.create_task(result.memory.watch(installation))
        loading = asyncio.create_task(load.run())
        try:
            await self._play(Faults(installation), result)
            self._say(f"no more faults; {history.sent:,} requests so far")
            try:
                await installation.all_ready()
            except ChaosError as error:
                problems.append(f"when the faults were over, {error.message}")
            await asyncio.sleep(_AFTERWARDS_S)
            load.stop()
            await loading
            result.drained_s = await drained(
                installation.outbox_dir, installation.log_dir, plan.drain_within_s, self._progress()
            )
            if result.drained_s is None:
                problems.append(f"not drained within {plan.drain_within_s:g} s")
            for name in _STOP_ORDER:
                process = installation.processes.get(name)
                if process is not None and not await process.stop():
                    problems.append(f"{name} did not end on SIGTERM")
            result.starts = {name: process.starts for name, process in installation.processes.items()}
        finally:
            for task in (watching, loading):
                task.cancel()
            await asyncio.gather(watching, loading, return_exceptions=True)
        return problems

    async def _play(self, faults: Faults, result: Result) -> None:
        began = time.monotonic()
        playing: set[asyncio.Task[None]] = set()
        for index, fault in enumerate(result.schedule):
            if await self._enough_within(began + fault.at_s - time.monotonic()):
                break
            playing.add(asyncio.create_task(self._play_one(faults, index, fault, result)))
        await self._enough_within(began + self._plan.minutes * 60 - time.monotonic())
        result.faults_s = time.monotonic() - began
        if playing:
            _, late = await asyncio.wait(playing, timeout=0 if self._enough.is_set() else _UNDO_WITHIN_S)
            for task in late:
                task.cancel()
            for ended in await asyncio.gather(*playing, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    async def _play_one(self, faults: Faults, index: int, fault: Fault, result: Result) -> None:
        result.effects[index] = Effect("interrupted", hit=True)
        result.effects[index] = await faults.play(fault)
        self._say(described(fault, result.effects[index].text))

    async def _enough_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), max(0.0, seconds))
        return self._enough.is_set()

    def _progress(self) -> Callable[[int | None], None]:
        told = -_SAY_EVERY_S

        def say(waiting: int | None) -> None:
            nonlocal told
            if time.monotonic() - told >= _SAY_EVERY_S:
                told = time.monotonic()
                what = "the log cannot be read yet" if waiting is None else f"{waiting:,} events are not in the log yet"
                self._say(f"draining: {what}")

        return say


def described(fault: Fault, effect: str = "") -> str:
    """Returns a fault as a line: when, what, whom, how long, and what came of it."""
    minutes, seconds = divmod(fault.at_s, 60)
    lasts = f"{fault.lasts_s:>5.1f} s" if fault.lasts_s else "       "
    return f"{int(minutes):>3}:{seconds:04.1f}  {fault.kind:<13}  {fault.target:<12}  {lasts}  {effect}".rstrip()


def _too_much(memory: Memory) -> Iterator[str]:
    return (f"{name} took {memory.most_bytes[name] >> 20} MiB of memory" for name in memory.beyond)


@dataclass
class _Kept:
    path: Path
    keep: bool = False
    disks: dict[str, SmallDisk] = field(default_factory=dict)


@contextmanager
def _folder(say: Say) -> Iterator[_Kept]:
    """A folder that goes with all that is mounted in it, unless it is to be kept or something went wrong."""
    kept = _Kept(Path(tempfile.mkdtemp(prefix="driftline-chaos-")).resolve())
    try:
        yield kept
    except ChaosError:
        kept.keep = True
        raise
    finally:
        for disk in kept.disks.values():
            disk.unmount(keep=kept.keep)
        if kept.keep:
            say(f"everything is kept in {kept.path}")
        else:
            shutil.rmtree(kept.path, ignore_errors=True)
