"""What a relay does besides sending: learns which log is obeyed, and adopts orphans."""

from tests.protocol.model.api import Api, Hold
from tests.protocol.model.broker import ANY_LOG, Announcement
from tests.protocol.model.lane import Lane
from tests.protocol.model.outbox import OutboxDirectory
from tests.protocol.model.process import Steps
from tests.protocol.model.rules import Harm, Violation
from tests.protocol.model.stage import obey


def survey(api: Api) -> Steps:
    """Learns which log is obeyed, starts a lane for the own directory, adopts orphans."""
    stage, first = api.stage, True
    rules, root = stage.rules, stage.root
    while True:
        yield
        if stage.happens("slow_survey", 0.95):
            continue
        found = root.log_id()
        if found is not None and found != api.obeyed:
            if rules.contact_synced_by_readers:
                root.names.sync()
                yield
            api.obeyed = found
        if rules.log_ids:
            yield from _contact(api)
        else:
            api.obeyed = ANY_LOG
        api.holds = [hold for hold in api.holds if not hold.own or hold.directory is api.own]  # or else it is retired
        if api.own is not None and not _holds(api, api.own):
            _start_lane(api, Hold(api.own, own=True))
        if first or rules.adopt_by_polling:
            yield from _adopt(api)
        first = False


def _holds(api: Api, directory: OutboxDirectory) -> bool:
    return any(hold.directory is directory for hold in api.holds)


def _start_lane(api: Api, hold: Hold) -> None:
    api.holds.append(hold)
    api.tasks.append(Lane(api, hold).run())


def _adopt(api: Api) -> Steps:
    stage = api.stage
    rules, root = stage.rules, stage.root
    for name, directory in list(root.directories().items()):
        if not _adoptable(api, directory):
            continue
        yield  # it has been opened
        if not _adoptable(api, directory):
            continue
        if rules.lock_outbox:
            directory.owner = api
        yield  # it has been locked
        if rules.check_inode and root.directory(name) is not directory:
            directory.owner = None
            continue
        stage.note(api.name, "adopts", directory.producer)
        stage.witness.counts["adopted"] += 1
        _start_lane(api, Hold(directory, own=False))


def _adoptable(api: Api, directory: OutboxDirectory) -> bool:
    locked = directory.owned and api.stage.rules.lock_outbox
    return not locked and directory is not api.own and not _holds(api, directory)


# -- which log


def _contact(api: Api) -> Steps:
    """Obeys a log at first contact, or follows the one obeyed to its successor."""
    stage = api.stage
    rules, broker = stage.rules, stage.broker
    if stage.transport == "redis" and broker.away:
        return
    announced = dict(broker.memory.logs)
    if stage.transport == "local":  # the log in the directory that the API was told of
        log = stage.logs[stage.home]
        announced = {log.name: Announcement(0, log.predecessors, broker.time)}
    live = [name for name, said in announced.items() if broker.live(said)]
    yield
    if api.obeyed is None:
        candidates = live if rules.contact_live else list(announced)
        if not candidates or (len(candidates) > 1 and rules.contact_alone):
            return
        chosen = stage.rng.choice(candidates)
        if live != [chosen]:
            raise Violation(Harm.GUESSED, f"{chosen} of {list(announced)}, of which {live} are live")
        stage.witness.counts["first contact"] += 1
        stage.witness.counts["first contact with a stranger"] += chosen != stage.home
        home = stage.logs[stage.home].holder
        stage.witness.counts["overlooked"] += chosen != stage.home and home is not None and home.alive
        yield from _settle_on(api, chosen)
    elif rules.follow_successor:
        for name, said in announced.items():
            if api.obeyed in said.predecessors:
                stage.root.replace_log_id(name)
                yield
                stage.root.names.sync()
                yield
                api.obeyed = name
                stage.note(api.name, "follows to log", name)
                return


def _settle_on(api: Api, log: str) -> Steps:
    if api.stage.rules.contact_stored:
        yield from obey(api.stage, log, api)
        api.obeyed = api.stage.root.log_id() or log
    else:
        api.obeyed = log
