"""What may befall the processes, their disks and the broker, by name."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from driftline.errors import LogError
from driftline.eventlog.backup import write_backup
from tests.simulation.engine.disk import How
from tests.simulation.engine.server import Memory
from tests.simulation.lives import Life
from tests.simulation.world import World

Fault = Callable[[World, Random], None]

_BOUNDARIES = 25
_HOW: tuple[How, ...] = ("before", "torn", "after")


def requests(world: World, rng: Random) -> None:
    """Clients ask for predictions, at once."""
    apis = world.living("api")
    if apis:
        life = rng.choice(apis)
        for _ in range(rng.randint(1, 12)):
            world.request(life)


def crash_api(world: World, rng: Random) -> None:
    """An API process will die at a boundary."""
    _arm(world, rng, "api")


def crash_worker(world: World, rng: Random) -> None:
    """A worker will die at a boundary."""
    _arm(world, rng, "worker")


def cut_power_of_api(world: World, rng: Random) -> None:
    """The machine of an API process will lose power when that is at a boundary."""
    _arm(world, rng, "api", power=True)


def cut_power_of_worker(world: World, rng: Random) -> None:
    """The machine of a worker will lose power when that is at a boundary."""
    _arm(world, rng, "worker", power=True)


def exactly(kind: str, how: How, *, power: bool) -> Callable[[World, int], None]:
    """Returns what lets the first process of a kind die at a boundary of which the number is given."""

    def fault(world: World, boundary: int) -> None:
        life = world.living(kind)[0]
        world.disk.arm(life.process, boundary, how)
        if power:
            world.powers.add(life.process)

    return fault


def stop_api(world: World, rng: Random) -> None:
    """SIGTERM."""
    _stop(world, rng, "api")


def stop_worker(world: World, rng: Random) -> None:
    """SIGTERM."""
    _stop(world, rng, "worker")


def start_api(world: World, rng: Random) -> None:
    """One more."""
    world.start("api")


def start_worker(world: World, rng: Random) -> None:
    """One more: a standby."""
    world.start("worker")


def freeze(world: World, rng: Random) -> None:
    """SIGSTOP, and SIGCONT later."""
    life = _any(world, rng, rng.choice(("api", "worker")))
    if life is not None:
        life.process.frozen_until = world.loop.now + rng.choice((0.5, 2.0, 8.0))
        world.note(f"{life.process.name} is frozen until {life.process.frozen_until:.4f}")


def kill_all(world: World, rng: Random) -> None:
    """Every process dies, and nothing is started again for a while; half-made directories grow old."""
    for life in world.lives:
        if life.going:
            world.kill(life)
            world.restart_later(life.process.name)
    world.loop.now += rng.choice((1.0, 100.0))


def refuse_writes(world: World, rng: Random) -> None:
    """A disk is full, for some calls, or no longer."""
    _refuse(world, {"write": 0.2, "open": 0.1, "names": 0.05})


def refuse_syncs(world: World, rng: Random) -> None:
    """A disk cannot write what it was given, or can again."""
    _refuse(world, {"sync": 0.2, "sync-names": 0.1, "cut": 0.1})


def refuse_commits(world: World, rng: Random) -> None:
    """SQLite reports an error, before or after the commit, or no longer."""
    _refuse(world, {"commit": 0.2})


def go_away(world: World, rng: Random) -> None:
    """The broker cannot be reached, or can again."""
    world.server.away = not world.server.away


def lose_packets(world: World, rng: Random) -> None:
    """Requests to the broker and its answers get lost, or no longer."""
    world.network.loss = 0.0 if world.network.loss else 0.2


def restart_broker(world: World, rng: Random) -> None:
    """The broker comes back empty, or with all it had."""
    world.server.restart(world.server.memory if rng.random() < 0.5 else Memory())


def back_up_log(world: World, rng: Random) -> None:
    """An operator makes a backup of the log."""
    out = io.BytesIO()
    try:
        write_backup(world.log_dir, out)
    except LogError:
        return
    world.backup = out.getvalue()


def restore_log(world: World, rng: Random) -> None:
    """An operator stops the workers and puts the backup in the place of the log."""
    if world.backup is None:
        return
    for life in world.living("worker"):
        world.kill(life)
        world.restart_later(life.process.name)
    before = world.witness.committed()
    restore(world.log_dir, world.backup)
    world.disk.settle(world.log_dir)
    world.witness.recorded()
    world.witness.restore(before, world.witness.committed())


def restore(log_dir: Path, backup: bytes) -> None:
    """Unpacks a backup."""
    shutil.rmtree(log_dir)
    log_dir.mkdir()
    with tarfile.open(fileobj=io.BytesIO(backup)) as archive:
        archive.extractall(log_dir, filter="data")


def _arm(world: World, rng: Random, kind: str, *, power: bool = False) -> None:
    life = _any(world, rng, kind)
    if life is not None:
        boundary, how = int(rng.random() ** 2 * _BOUNDARIES), rng.choice(_HOW)
        world.disk.arm(life.process, boundary, how)
        if power:
            world.powers.add(life.process)
        world.note(f"{life.process.name} will die {how} boundary {boundary}")


def _stop(world: World, rng: Random, kind: str) -> None:
    life = _any(world, rng, kind)
    if life is not None:
        world.note(f"{life.process.name} is asked to stop")
        world.as_process(life, life.stop)


def _refuse(world: World, flaws: dict[str, float]) -> None:
    world.refusing = True
    world.disk.flaws = {} if world.disk.flaws else dict(flaws)


def _any(world: World, rng: Random, kind: str) -> Life | None:
    lives = world.living(kind)
    return rng.choice(lives) if lives else None


def _of_broker(name: str) -> Fault:
    def fault(world: World, rng: Random) -> None:
        getattr(world.server, name)(rng)

    return fault


_OF_BROKER = ("lose", "duplicate", "reorder", "delay", "deliver", "trim", "forget", "flush", "save", "roll_back")

FAULTS: dict[str, Fault] = {
    **{name: _of_broker(name) for name in _OF_BROKER},
    **{
        fault.__name__: fault
        for fault in (
            *(requests, crash_api, crash_worker, cut_power_of_api, cut_power_of_worker, stop_api, stop_worker),
            *(
                start_api,
                start_worker,
                freeze,
                kill_all,
                refuse_writes,
                refuse_syncs,
                refuse_commits,
                go_away,
                lose_packets,
            ),
            *(restart_broker, back_up_log, restore_log),
        )
    },
}
"""What follows from a random number."""

EXACT = {
    f"{'power' if power else 'death'}_of_{kind}_{how}": exactly(kind, how, power=power)
    for kind in ("api", "worker")
    for how in _HOW
    for power in (False, True)
}
"""What happens at a boundary: the number is that of the boundary."""
