"""What may go wrong, by name; a pool is a list of such names from which a schedule draws."""

from collections.abc import Callable

from tests.protocol.model.broker import Batch
from tests.protocol.model.commands import (
    back_up_log,
    back_up_outboxes,
    replace_log,
    restore_log,
    restore_outboxes,
)
from tests.protocol.model.process import Process
from tests.protocol.model.world import API_SLOTS, World

Fault = Callable[[World], None]

FLAWS = frozenset(
    (
        *("short_append", "failed_sync", "short_log_append", "failed_commit"),
        *("slow_survey", "killed_at_contact", "killed_in_commit"),
    )
)
"""Not events of their own, but errors that an operation may meet; each is asked for where it would happen."""

# -- the broker and the network


def lose(world: World) -> None:
    _pull(world)


def duplicate(world: World) -> None:
    stream = world.stage.broker.memory.stream
    if stream:
        world.stage.broker.add(world.stage.rng.choice(stream).batch, sent=False)


def reorder(world: World) -> None:
    memory = world.stage.broker.memory
    batches = [entry.batch for entry in memory.stream]
    world.stage.rng.shuffle(batches)
    memory.stream = [entry._replace(batch=batch) for entry, batch in zip(memory.stream, batches, strict=True)]


def delay(world: World) -> None:
    batch = _pull(world)
    if batch is not None:
        world.stage.broker.delayed.append(batch)


def deliver(world: World) -> None:
    """What was delayed arrives, long after what was sent later."""
    delayed = world.stage.broker.delayed
    if delayed:
        world.stage.broker.add(delayed.pop(world.stage.rng.randrange(len(delayed))), sent=False)


def trim(world: World) -> None:
    memory = world.stage.broker.memory
    memory.stream = memory.stream[world.stage.rng.randint(0, len(memory.stream)) :]


def wipe(world: World) -> None:
    world.stage.broker.wipe()


def snapshot(world: World) -> None:
    world.stage.broker.snapshot()


def roll_back(world: World) -> None:
    world.stage.broker.roll_back(world.stage.rng)


def set_clock_back(world: World) -> None:
    world.stage.broker.time -= world.stage.rng.randint(20, 400)


def go_away(world: World) -> None:
    """Or come back."""
    world.stage.broker.away = not world.stage.broker.away


def answer_wrongly(world: World) -> None:
    world.stage.broker.remember_wrongly(world.stage.rng)


def _pull(world: World) -> Batch | None:
    stream = world.stage.broker.memory.stream
    return stream.pop(world.stage.rng.randrange(len(stream))).batch if stream else None


# -- processes


def kill_worker(world: World) -> None:
    """Or start one, if there is none."""
    living = [worker for worker in world.workers if worker.alive]
    if living:
        _kill(world, world.stage.rng.choice(living))
    else:
        world.start_worker(world.stage.official())


def kill_api(world: World) -> None:
    """Or start it."""
    slot = world.stage.rng.randrange(API_SLOTS)
    api = world.apis[slot]
    if api is not None and api.alive:
        _kill(world, api)
    else:
        world.start_api(slot)


def stop_api(world: World) -> None:
    """SIGTERM."""
    api = world.apis[world.stage.rng.randrange(API_SLOTS)]
    if api is not None and api.alive:
        api.stopping = True
        world.stage.note("stop", api.name)


def freeze(world: World) -> None:
    """SIGSTOP, and SIGCONT later."""
    processes = world.processes()
    if processes:
        process = world.stage.rng.choice(processes)
        process.frozen_until = world.stage.now + world.stage.rng.randint(10, 90)
        world.stage.note("freeze", process.name, "until", process.frozen_until)


def second_worker(world: World) -> None:
    if len([worker for worker in world.workers if worker.alive]) < 3:
        world.start_worker(world.stage.official())


def stranger(world: World) -> None:
    """Somebody's worker of another log comes to this broker, or to this machine; one that was replaced is gone."""
    stage = world.stage
    name = stage.rng.choice(("X", "Y"))
    log = stage.logs[name] if name in stage.logs else stage.add_log(name)
    if not world.workers_of(log) and name not in stage.logs[stage.home].predecessors:
        world.start_worker(log)


def _kill(world: World, process: Process) -> None:
    process.end()
    world.stage.witness.counts["killed"] += 1
    world.stage.note("kill", process.name)


# -- power


def cut_power_of_api(world: World) -> None:
    """Embedded, it is the machine of the worker as well."""
    _cut_power(world, apis=True, workers=world.stage.transport == "local")


def cut_power_of_worker(world: World) -> None:
    _cut_power(world, apis=world.stage.transport == "local", workers=True)


def cut_all_power(world: World) -> None:
    _cut_power(world, apis=True, workers=True)
    world.stage.broker.roll_back(world.stage.rng)


def _cut_power(world: World, *, apis: bool, workers: bool) -> None:
    stage = world.stage
    stage.witness.counts["power cut"] += 1
    if apis:
        stage.witness.api_power_cuts += 1
        before = stage.root.events()
        for api in world.apis:
            if api is not None:
                api.end()
        stage.root.names.power_cut(stage.rng)
        lost = before - stage.root.events()
        if stage.sync == "os":
            stage.witness.excused |= lost
        stage.note("POWER CUT of the API machine; its disk lost", sorted(lost))
    if workers:
        for process in (*world.workers, *world.commands):
            process.end()
        for log in stage.logs.values():
            log.segments.power_cut(stage.rng)
            log.database.power_cut(stage.rng)
            log.ever |= log.events()
        stage.note("POWER CUT of the worker machine")


# -- disks


def damage_outbox(world: World) -> None:
    """A record that was durable can no longer be read."""
    stage = world.stage
    files = [
        file
        for directory in stage.root.directories().values()
        for file in directory.segments.entries.values()
        if file.durable and file.seen[: len(file.durable)] == file.durable
    ]
    if files:
        file = stage.rng.choice(files)
        index = stage.rng.randrange(len(file.durable))
        record = file.seen[index]
        if isinstance(record, tuple):
            stage.witness.damaged.add(record.event)
            file.damage(index)
            stage.note("DAMAGE to event", record.event)


def shorten_log(world: World) -> None:
    """The active segment loses its end."""
    log = world.stage.official()
    file, length = log.file_of(log.database.state.segment), log.database.state.length
    if file is not None and length:
        for worker in world.workers_of(log):
            worker.end()
        file.cut(world.stage.rng.randrange(length))
        file.sync()
        log.database.commit(log.database.state, world.stage.rng)  # no interrupted one is left to confuse matters
        log.maimed = True
        world.stage.note("log", log.name, "is shortened to", len(file.seen), "of", length)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *(lose, duplicate, reorder, delay, deliver, trim, wipe, snapshot, roll_back, set_clock_back, go_away),
        *(answer_wrongly, kill_worker, kill_api, stop_api, freeze, second_worker, stranger),
        *(cut_power_of_api, cut_power_of_worker, cut_all_power, damage_outbox, shorten_log),
        *(back_up_log, restore_log, replace_log, back_up_outboxes, restore_outboxes),
    )
}
