"""An API process: its own directory, the appends, the group fdatasync, and the clean stop."""

from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.model.disks import File
from tests.protocol.model.log import Log
from tests.protocol.model.outbox import SEGMENT_EVENTS, OutboxDirectory, Record, scan
from tests.protocol.model.process import Process, Steps
from tests.protocol.model.stage import Stage

_FLUSH_TURNS = 40


class Waiting(NamedTuple):
    """An event appended, whose answer waits for the fdatasync of its file."""

    record: Record
    file: File[Record]


@dataclass(eq=False)
class Hold:
    """A directory that a process drains; its own, or an orphan that it has adopted."""

    directory: OutboxDirectory
    own: bool


class Api(Process):
    """One life of an API process.

    Attributes:
        slot: Which of the machine's API processes it is.
        own: The directory it appends to; made at the first append.
        next_seq: The seq of the next event.
        file: The segment appended to.
        waiting: Events whose answers wait.
        obeyed: The log it sends to, as far as it knows.
        holds: The directories that it drains, its own among them.
        record: Embedded, the log whose record it has open.
        stopping: It appends no more, and ends once its directory is drained.
        flushed: It is stopping, and every append has been answered.
    """

    def __init__(self, stage: Stage, slot: int) -> None:
        super().__init__(f"api{slot}-{stage.draw()}")
        self.stage = stage
        self.slot = slot
        self.own: OutboxDirectory | None = None
        self.next_seq = 0
        self.file: File[Record] = File()
        self.waiting: list[Waiting] = []
        self.obeyed: str | None = None
        self.holds: list[Hold] = []
        self.record: Log | None = None
        self.stopping = False
        self.flushed = False

    def retire(self) -> None:
        """Gives up the directory and its id; whoever finds it drains it."""
        self.stage.note(self.name, "retires", self.own.producer if self.own else "nothing")
        if self.own is not None:
            self.own.owner = None
        self.own, self.waiting, self.next_seq = None, [], 0


def appender(api: Api) -> Steps:
    """Takes requests."""
    stage = api.stage
    while not api.stopping:
        yield
        if stage.quiet or stage.rng.random() < 0.5:
            continue
        if api.own is None:
            yield from _open_fresh(api) if stage.rules.fresh_producer else _take_up(api)
        yield from _append(api)
    while api.waiting:
        yield
    api.flushed = True
    for _ in range(_FLUSH_TURNS):
        if api.own is None:
            break
        yield
    if api.own is not None:
        api.file.sync()
        yield
    stage.note(api.name, "has stopped")
    stage.witness.counts["stopped"] += 1
    api.end()


def _open_fresh(api: Api) -> Steps:
    """Makes a directory that is new, and so is its id."""
    stage, root = api.stage, api.stage.root
    while True:
        directory = OutboxDirectory(f"P{stage.draw()}")
        file: File[Record] = File()
        directory.segments.put(0, file)
        if stage.rules.sync_names:
            directory.segments.sync()
        yield
        if stage.rules.born_locked:  # it is made and locked under another name, which no adopter looks for
            directory.owner = api
        root.names.put(directory.producer, directory)
        yield
        if directory.owned and directory.owner is not api:
            continue
        directory.owner = api
        yield
        if root.directory(directory.producer) is directory or not stage.rules.check_inode:
            break
        directory.owner = None
    if stage.rules.sync_names:
        root.names.sync()
        yield
    api.own, api.next_seq, api.file = directory, 0, file
    stage.note(api.name, "opens", directory.producer)


def _take_up(api: Api) -> Steps:
    """The naive alternative: each slot has one directory, and goes on where the last life ended."""
    stage, name = api.stage, f"slot{api.slot}"
    root = stage.root
    while True:
        directory = root.directory(name)
        if directory is None:
            directory = OutboxDirectory(f"P{stage.draw()}")
            root.names.put(name, directory)
        yield
        if directory.owned:
            name += "+"
            continue
        directory.owner = api
        yield
        if root.directory(name) is directory:
            break
        directory.owner = None
    root.names.sync()
    if directory.firsts():
        last = directory.segments.entries[directory.firsts()[-1]]
        whole = [index for index, record in enumerate(last.seen, 1) if isinstance(record, Record)]
        last.cut(max(whole, default=0))
    held = scan(directory, stage.rules)
    if not directory.firsts():
        directory.segments.put(held.end, File())
    directory.segments.sync()
    api.own, api.next_seq, api.file = directory, held.end, directory.segments.entries[directory.firsts()[-1]]
    stage.note(api.name, "takes up", directory.producer, "at", held.end)


def _append(api: Api) -> Steps:
    stage, directory = api.stage, api.own
    rules = stage.rules
    if len(api.file.seen) >= SEGMENT_EVENTS and directory is not None:
        file: File[Record] = File()
        directory.segments.put(api.next_seq, file)
        api.file = file
        yield
        if rules.sync_names:
            directory.segments.sync()
            yield
    if directory is None or api.own is not directory:
        return  # retired meanwhile: the request is refused
    file, seq = api.file, api.next_seq
    event = stage.witness.begin(directory.producer, seq)
    file.begin_write()
    length = len(file.seen)
    yield
    if api.own is not directory or len(file.seen) != length:
        return
    if stage.happens("short_append", 0.08):
        yield from _refuse(api, file, length - 1)
        return
    record = Record(seq, event)
    file.end_write(record)
    api.next_seq = seq + 1
    stage.note(api.name, "appends event", event, "as", f"{directory.producer}/{seq}")
    if stage.sync == "os" or not rules.answer_after_sync:
        yield
        stage.witness.answer(event)
    else:
        api.waiting.append(Waiting(record, file))


def _refuse(api: Api, file: File[Record], length: int) -> Steps:
    """No space: a part of the record has been written; the request is refused."""
    stage = api.stage
    stage.note(api.name, "fails to append")
    yield
    if not stage.rules.cut_back:
        return
    if stage.rng.random() < 0.8:
        file.cut(length)
    elif stage.rules.retire_uncut:
        api.retire()


def syncer(api: Api) -> Steps:
    """Answers in groups: one fdatasync serves all that wait."""
    stage = api.stage
    while True:
        yield
        if not api.waiting:
            continue
        directory, served = api.own, api.waiting
        api.waiting = []
        failed: list[File[Record]] = []
        for file in {id(waiting.file): waiting.file for waiting in served}.values():
            yield
            if stage.happens("failed_sync", 0.15):
                file.fail_sync()
                stage.note(api.name, "fails to sync", directory.producer if directory else "")
                failed.append(file)
            else:
                file.sync()
        yield
        if not failed or stage.rules.failed_sync == "retry":  # the second fdatasync says that all is well
            stage.witness.answer(*(waiting.record.event for waiting in served))
        elif api.own is directory:
            if stage.rules.failed_sync == "retire":
                api.retire()
            else:
                _reuse(api, served, failed)


def _reuse(api: Api, served: list[Waiting], failed: list[File[Record]]) -> None:
    """The naive alternative: the failed records are cut off, and numbering goes on from there."""
    first = min(waiting.record.seq for waiting in served if waiting.file in failed)
    for file in failed:
        kept = [record for record in file.seen if isinstance(record, Record) and record.seq < first]
        file.cut(len(kept))
    api.waiting, api.next_seq = [], first
