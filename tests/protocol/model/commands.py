"""What an operator does: backups, restores, a new log in the place of a lost one."""

from tests.protocol.model.log import Log
from tests.protocol.model.process import Process, Steps
from tests.protocol.model.world import World


def back_up_log(world: World) -> None:
    """A command that copies the log while it is being written."""
    command = Process("backup")
    command.tasks = [_back_up(world, command)]
    world.commands = [command]


def _back_up(world: World, command: Process) -> Steps:
    stage, log = world.stage, world.stage.official()
    copy = Log(log.name, stage.rules, log.predecessors)
    if not stage.rules.backup_record_first:
        yield from _copy_files(log, copy)
    state = log.database.state.copy()
    yield
    if stage.rules.backup_record_first:
        yield from _copy_files(log, copy)
    copy.database.commit(state, stage.rng)
    world.log_backup = copy
    stage.note("log", log.name, "is backed up")
    command.end()


def _copy_files(log: Log, copy: Log) -> Steps:
    for name in list(log.segments.entries):
        yield
        if name in log.segments.entries:
            copy.segments.put(name, log.segments.entries[name].copy())
    yield


def restore_log(world: World) -> None:
    stage, backup, log = world.stage, world.log_backup, world.stage.official()
    if backup is None or backup.name != log.name:
        return
    for process in (*world.workers_of(log), *world.commands):
        process.end()
    before = log.events()
    log.segments = backup.segments.copy()
    log.database.commit(backup.database.state.copy(), stage.rng)
    stage.witness.restored_away |= before - log.events()
    stage.witness.counts["restored"] += 1
    stage.note("log", log.name, "is restored; it had", sorted(before), "and has", sorted(log.events()))
    world.start_worker(log)


def replace_log(world: World) -> None:
    """The log is lost for good; a new one is declared its successor."""
    stage, lost = world.stage, world.stage.official()
    home = stage.logs[stage.home]
    for process in (*world.workers_of(lost), *world.workers_of(home), *world.commands):
        process.end()
    stage.witness.restored_away |= lost.events()
    names = dict.fromkeys((*lost.predecessors, lost.name, *home.predecessors, home.name))
    log = stage.add_log(f"N{stage.draw()}", tuple(names))
    stage.home = log.name
    stage.note("log", log.name, "replaces", *names)
    world.start_worker(log)


def back_up_outboxes(world: World) -> None:
    world.outbox_backup = world.stage.root.copy()


def restore_outboxes(world: World) -> None:
    stage = world.stage
    if world.outbox_backup is not None:
        for api in world.apis:
            if api is not None:
                api.end()
        before = stage.root.events()
        stage.root = world.outbox_backup.copy()
        stage.witness.excused |= before - stage.root.events()
        stage.note("the outboxes are restored")
