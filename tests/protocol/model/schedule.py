"""A schedule is a seed and a pool of faults: everything else follows from them."""

from dataclasses import dataclass
from random import Random

from tests.protocol.model.faults import FAULTS, FLAWS
from tests.protocol.model.rules import KEPT, Rules, Violation
from tests.protocol.model.stage import Sync, Transport
from tests.protocol.model.world import World

_BROKER = [
    *("lose", "duplicate", "reorder", "delay", "deliver", "trim", "wipe", "snapshot", "roll_back"),
    *("set_clock_back", "go_away", "answer_wrongly"),
]
_PROCESSES = ["kill_worker", "kill_worker", "kill_api", "kill_api", "stop_api", "freeze", "second_worker"]
_EVERYDAY = [*_BROKER, *_PROCESSES]
_POWER = ["cut_power_of_api", "cut_power_of_worker", "cut_all_power"]
_DISK = ["short_append", "failed_sync", "short_log_append", "failed_commit", "damage_outbox"]
_STRANGERS = ["stranger", "stranger"]
_BACKUP = ["back_up_log", "back_up_log", "back_up_log", "restore_log"]

POOLS: dict[str, list[str]] = {
    "everyday": _EVERYDAY,
    "power": [*_EVERYDAY, *_POWER],
    "disk": [*_EVERYDAY, *_POWER, *_DISK],
    "strangers": [*_EVERYDAY, *_POWER, *_STRANGERS],
    "restore": [*_EVERYDAY, *_POWER, *_BACKUP],
    "successor": [*_EVERYDAY, *_POWER, *_STRANGERS, "replace_log"],
    "outbox-restore": [*_EVERYDAY, *_POWER, "back_up_outboxes", "restore_outboxes"],
    "short-log": [*_EVERYDAY, *_POWER, "shorten_log"],
    "all": [*_EVERYDAY, *_POWER, *_DISK, *_STRANGERS, *_BACKUP, "replace_log"],
    "kills": ["kill_worker", "kill_api"],
    "commits": ["killed_in_commit", "kill_api", "kill_api", "kill_worker", "cut_power_of_worker"],
    "writes": ["kill_api", "kill_worker", "short_append", "short_log_append", "failed_commit"],
    "damage": ["kill_api", "damage_outbox", "lose", "reorder", "delay", "deliver"],
    "syncs": ["kill_api", "failed_sync", "slow_survey", "cut_power_of_api"],
    "restores": [*_BACKUP, "kill_worker", "kill_api", "freeze", "short_append"],
    "contact": [*_STRANGERS, "killed_at_contact", "freeze", "kill_worker", "kill_api", "cut_power_of_api"],
    "outage": ["go_away", "freeze", "kill_worker", "kill_api"],
}


@dataclass(frozen=True)
class Run:
    """What came of a schedule."""

    world: World
    violation: Violation | None
    setting: str


def play(
    seed: int,
    pool: str,
    rules: Rules = KEPT,
    *,
    transport: Transport | None = None,
    sync: Sync | None = None,
    trace: bool = False,
) -> Run:
    """Plays one schedule to its end; the same arguments give the same run.

    Args:
        seed: Any number.
        pool: A name of :data:`POOLS`; which of its faults may happen is drawn (swarm testing).
        rules: The rules that are kept.
        transport: Embedded or with a broker; drawn if None.
        sync: As the setting of that name; drawn if None.
        trace: Writes down what happens.
    """
    rng = Random(seed)
    drawn_transport: Transport = rng.choice(("redis", "redis", "redis", "local"))
    drawn_sync: Sync = rng.choice(("always", "os"))
    share = rng.choice((0.3, 0.6, 1.0))
    drawn = [name for name in POOLS[pool] if rng.random() < share] or POOLS[pool]
    length, rate = rng.choice((150, 400, 1000)), rng.choice((0.01, 0.03, 0.07, 0.15))
    world = World(rng, rules, transport or drawn_transport, sync or drawn_sync)
    stage = world.stage
    stage.flaws = FLAWS.intersection(drawn)
    stage.trace = [] if trace else None
    faults = [name for name in drawn if name not in FLAWS] or ["snapshot"]
    setting = f"transport={stage.transport} sync={stage.sync} steps={length} faults={','.join(dict.fromkeys(drawn))}"
    try:
        _play(world, faults, length, rate)
    except Violation as violation:
        return Run(world, violation, setting)
    return Run(world, None, setting)


def _play(world: World, faults: list[str], length: int, rate: float) -> None:
    stage = world.stage
    world.start_api(0)
    if stage.rng.random() < 0.7:
        world.start_worker(stage.official())
    for _ in range(length):
        if stage.rng.random() < rate:
            name = stage.rng.choice(faults)
            stage.witness.counts[name] += 1
            FAULTS[name](world)
        else:
            world.step()
    world.settle()
