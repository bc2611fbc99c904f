"""A schedule: a setting, and what happens when. A seed or Hypothesis makes it, and it plays the same each time."""

import json
import shutil
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self
from unittest.mock import patch

import structlog

from tests.simulation.engine.client import Broker, Client, Subscriber
from tests.simulation.engine.syscalls import SystemCalls
from tests.simulation.engine.witness import Harm, Violation
from tests.simulation.faults import EXACT, FAULTS
from tests.simulation.lives import Setting, Sync, Transport
from tests.simulation.world import World

BROKER = (
    *("lose", "duplicate", "reorder", "delay", "deliver", "trim", "forget", "flush", "save", "roll_back"),
    *("go_away", "lose_packets", "restart_broker"),
)
PROCESSES = ("crash_api", "crash_api", "crash_worker", "crash_worker", "stop_api", "stop_worker", "start_api")
PROCESSES_TOO = ("start_worker", "freeze", "kill_all")
DISKS = ("refuse_writes", "refuse_syncs", "refuse_commits")
POWER = ("cut_power_of_api", "cut_power_of_worker")
OPERATOR = ("back_up_log", "restore_log")

_NOT_TRACED = frozenset(("event", "error", "log_dir", "outboxes", "seconds"))
_NEVER_LOGGED = frozenset(
    ("relay.failed", "stream.failed", "log.damaged", "log.incomplete", "log.record_damaged", "log.unusable")
)
"""What the code says when it meets what it should not: an error unforeseen, or damage, of which there is none here."""

_WAITS_S = (0.0, 0.005, 0.02, 0.1, 0.5)


class Action(NamedTuple):
    """Something that happens.

    Attributes:
        after_s: How long nothing does before it.
        name: Of :data:`FAULTS` or :data:`EXACT`.
        number: Decides the rest of it.
    """

    after_s: float
    name: str
    number: int


@dataclass(frozen=True)
class Schedule:
    """A setting, and actions in their order."""

    setting: Setting
    actions: tuple[Action, ...]

    @property
    def command(self) -> str:
        """What to type to see it played."""
        return f"python -m tests.simulation.replay '{self.to_json()}'"

    def to_json(self) -> str:
        """Returns it as text, to be played again."""
        return json.dumps({"setting": asdict(self.setting), "actions": self.actions}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Returns the schedule of such a text."""
        given = json.loads(text)
        return cls(Setting(**given["setting"]), tuple(Action(*action) for action in given["actions"]))


def possible(setting: Setting) -> list[str]:
    """Returns the names of what can happen in a setting: what the promise does not cover is left out."""
    names = [*PROCESSES, *PROCESSES_TOO, *DISKS, *OPERATOR]
    if setting.transport == "redis":
        names += BROKER
        names.append("cut_power_of_worker")  # the log's machine is another one
    if setting.sync == "always":
        names += POWER
    return names


def draw(
    seed: int, *, only: tuple[str, ...] = (), transport: Transport | None = None, sync: Sync | None = None
) -> Schedule:
    """Returns the schedule of a seed.

    Args:
        seed: Any number.
        only: Faults from which to draw, if not from all that are possible.
        transport: Drawn if None.
        sync: Drawn if None.
    """
    rng = Random(seed)
    drawn_transport: Transport = rng.choice(("redis", "local"))
    drawn_sync: Sync = rng.choice(("always", "os"))
    setting = Setting(
        seed,
        transport or drawn_transport,
        sync or drawn_sync,
        rng.choice((600, 1500, 4000)),
        rng.choice((1200, 4000, 16_000)),
    )
    names = [name for name in possible(setting) if not only or name in only]
    share = rng.choice((0.25, 0.5, 1.0))
    swarm = [name for name in names if rng.random() < share] or names
    actions = []
    for _ in range(rng.choice((4, 8, 16, 32))):
        name = "requests" if rng.random() < 0.5 or not swarm else rng.choice(swarm)
        actions.append(Action(rng.choice(_WAITS_S), name, rng.getrandbits(32)))
    return Schedule(setting, tuple(actions))


@dataclass
class Run:
    """What came of a schedule.

    Attributes:
        violation: How the promise was broken, if it was.
        digest: A checksum of all that happened.
        counts: How often what happened.
        boundaries: How many there were to die at.
        met: The places in the code where they were.
        calls: What kinds of boundaries each process met, in order.
        crashed: At which of them a process died, and how.
        virtual_s: How long it took, in virtual time.
    """

    violation: Violation | None
    digest: int
    counts: Counter[str]
    boundaries: int
    met: set[str]
    calls: dict[str, list[str]]
    crashed: Counter[tuple[str, str]]
    virtual_s: float


def play(schedule: Schedule, trace: list[str] | None = None) -> Run:
    """Plays a schedule to its end; it is the same each time."""
    with world_of(schedule.setting, trace) as world:
        began, violation = world.loop.now, None
        try:
            world.begin()
            for action in schedule.actions:
                world.run(action.after_s)
                act(world, action)
            world.settle()
        except Violation as found:
            violation = found
        world.witness.counts["answered"] = len(world.witness.answered)
        disk = world.disk
        return Run(
            violation,
            world.digest,
            world.witness.counts,
            disk.boundaries,
            disk.met,
            disk.calls,
            disk.crashed,
            world.loop.now - began,
        )


def act(world: World, action: Action) -> None:
    """Lets it happen."""
    world.note(f"{action.name} {action.number}")
    world.witness.counts[action.name] += 1
    if action.name in EXACT:
        EXACT[action.name](world, action.number)
    else:
        FAULTS[action.name](world, Random(action.number))


@contextmanager
def world_of(setting: Setting, trace: list[str] | None = None) -> Iterator[World]:
    """Gives a world whose time, chance, disks and broker are simulated for all code that runs within."""
    shared = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(prefix="driftline-", dir=shared if shared.is_dir() else None)).resolve()
    world = World(setting, base, trace)

    def build(url: str, timeout_s: float, handler: object) -> tuple[Broker, Subscriber]:
        subscriber = Subscriber(world.network, handler)  # type: ignore[arg-type]
        return Broker(subscriber), subscriber

    with ExitStack() as stack:
        stack.callback(shutil.rmtree, base)
        for target, replacement in {
            "time.monotonic": world.loop.time,
            "time.time": world.loop.time,
            "uuid.uuid4": lambda: uuid.UUID(hex=world.new_id()),
            "driftline.transport.redis.connect": lambda url, timeout_s: Client(world.network),
            "driftline.worker.stream.connect": lambda url, timeout_s: Client(world.network),
            "driftline.worker.stream.build": build,
        }.items():
            stack.enter_context(patch(target, replacement))
        clocks = {"clock": lambda: int(world.loop.now * 1e9), "make_id": world.new_id}
        stack.enter_context(patch.dict("driftline.api.keeper.Keeper.__init__.__kwdefaults__", clocks))
        stack.enter_context(SystemCalls(world.disk).interposed())
        stack.enter_context(_listening(world))
        stack.callback(world.end)
        yield world


@contextmanager
def _listening(world: World) -> Iterator[None]:
    """Takes what the code logs into the trace; some of it tells of a violation."""
    before = structlog.get_config()

    def listen(logger: object, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        if event["event"] in _NEVER_LOGGED:
            world.blame(Violation(Harm.FAILED, f"{event['event']}: {sys.exc_info()[1] or event.get('error')!r}"))
        fields = " ".join(f"{key}={event[key]}" for key in event if key not in _NOT_TRACED)
        world.note(f"    {event['event']} {fields}")
        raise structlog.DropEvent

    structlog.configure(processors=[listen], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
