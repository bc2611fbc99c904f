"""The writer of a log: decides what to take of a batch, appends, syncs, commits; and goes back to what is committed."""

from collections.abc import Generator, Iterable

from tests.protocol.model.broker import Batch
from tests.protocol.model.disks import TORN, File
from tests.protocol.model.log import ACTIVE, SEGMENT_LINES, Line, Log, LogState
from tests.protocol.model.process import Process, Steps
from tests.protocol.model.rules import Harm, Rules, Violation
from tests.protocol.model.stage import Stage

Outcome = Generator[None, None, bool]
"""Steps that end with whether the log can be gone on with."""


def decide(state: LogState, batches: Iterable[Batch], rules: Rules) -> tuple[LogState, list[Line]]:
    """Returns what is committed when these batches are taken, and the lines to append."""
    new, lines = state.copy(), list[Line]()
    for batch in batches:
        expected = new.committed.get(batch.producer, 0)
        if batch.base_seq > expected and rules.go_on_from_base:
            if rules.record_gap:
                new.gaps.append((batch.producer, expected, batch.base_seq))
            expected = new.committed[batch.producer] = batch.base_seq
        if batch.stop_seq <= expected or (batch.first_seq > expected and rules.leave_gap):
            continue
        begin = max(expected, batch.first_seq) if rules.drop_seen else batch.first_seq
        for seq in range(begin, batch.stop_seq):
            event = batch.events[seq - batch.first_seq]
            if event is None:
                new.tombstones.append((batch.producer, seq))
            else:
                lines.append(Line(batch.producer, seq, event))
        new.committed[batch.producer] = batch.stop_seq
    return new, lines


class Scribe:
    """One worker's hold on a log.

    Attributes:
        state: What is committed, as far as this worker knows.
    """

    def __init__(self, stage: Stage, log: Log, process: Process) -> None:
        self.stage, self.log, self.process = stage, log, process
        self.state = LogState()

    def recover(self) -> Outcome:
        """Goes back to what is recorded as committed: at a start, and after any I/O error."""
        rules, files = self.stage.rules, self.log.segments
        self.state = self.log.database.open(self.process, self.stage.rng).copy()
        self.log.ever |= self.log.events()
        yield
        active = self._active_name()
        file = files.entries.get(active, File[Line]())
        short = self.state.length - len(file.seen)
        if short > 0 and not self.log.maimed:
            raise Violation(Harm.SHORT, f"log {self.log.name} lacks {short} of {self.state.length} lines at a start")
        if short > 0 and rules.refuse_short:
            self.log.refused = True
            return False
        if rules.settle_record:
            yield from self._record(self.state.copy())
        for later in [name for name in files.entries if name > active and rules.rotation == "born"]:
            files.remove(later)
        if active not in files.entries:
            files.put(active, file)
        yield
        file.seen += [TORN] * short  # what ftruncate does to a shorter file
        if rules.cut_on_start:
            file.cut(self.state.length)
        yield
        file.sync()
        yield
        if rules.sync_log_names:
            files.sync()
            yield
        self.stage.note("log", self.log.name, "is cut to", self.state.length, "in segment", self.state.segment)
        return True

    def take(self, batches: list[Batch]) -> Outcome:
        """Commits what these batches bring; an error leaves the log as it was committed."""
        new, lines = decide(self.state, batches, self.stage.rules)
        if new.committed == self.state.committed:
            return True
        if self.state.length >= SEGMENT_LINES:
            yield from self._rotate()
            new, lines = decide(self.state, batches, self.stage.rules)
        appended = yield from self._append(lines)
        if appended:
            new.length += len(lines)
            if (yield from self._commit(new, lines)):
                return True
        return (yield from self.recover())

    def _append(self, lines: list[Line]) -> Outcome:
        stage = self.stage
        file = self.log.segments.entries.get(self._active_name())
        if file is None:
            return False
        if lines:
            breaks = stage.rng.randrange(len(lines))
            for line in lines[:breaks]:
                file.write(line)
            file.begin_write()
            yield
            if stage.happens("short_log_append", 0.1):
                stage.note("log", self.log.name, "fails to append")
                if stage.rules.recover_after_error:
                    return False
                breaks = 0  # the naive alternative: all of it once more
            else:
                file.cut(len(file.seen) - 1)
            for line in lines[breaks:]:
                file.write(line)
            yield
            if stage.rules.sync_before_commit:
                file.sync()
                yield
        return True

    def _commit(self, new: LogState, lines: list[Line]) -> Outcome:
        stage, database = self.stage, self.log.database
        failed = stage.happens("failed_commit", 0.1)
        if not stage.rules.one_transaction:
            early = new.copy()
            early.length = self.state.length
            yield from self._record(early)
        if not failed or stage.rng.random() < 0.5:  # one that fails may have been recorded all the same
            yield from self._record(new)
            self.log.ever.update(line.event for line in lines)
        else:
            database.begin_commit(new)
        if failed:
            stage.note("log", self.log.name, "fails to commit")
        if not failed or not stage.rules.recover_after_error:
            self.state = new
            stage.note("log", self.log.name, "commits", [line.event for line in lines], new.committed)
        yield
        return not failed or not stage.rules.recover_after_error

    def _rotate(self) -> Steps:
        stage, files = self.stage, self.log.segments
        new = self.state.copy()
        new.sealed[new.segment] = new.length
        new.segment, new.length = new.segment + 1, 0
        if stage.rules.rotation == "born":
            files.put(new.segment, File())
            yield
            if stage.rules.sync_log_names:
                files.sync()
                yield
            yield from self._record(new)
        elif stage.rules.rotation == "rename_commit":
            yield from self._rename()
            yield from self._record(new)
        else:
            yield from self._record(new)
            yield
            yield from self._rename()
        self.state = new
        stage.note("log", self.log.name, "begins segment", new.segment)
        yield

    def _record(self, state: LogState) -> Steps:
        self.log.database.begin_commit(state)
        if self.stage.happens("killed_in_commit", 0.1):
            self.stage.note("kill", self.process.name, "in its commit")
            self.process.end()
        yield
        self.log.database.commit(state, self.stage.rng)

    def _rename(self) -> Steps:
        files = self.log.segments
        if ACTIVE in files.entries:
            files.rename(ACTIVE, self.state.segment)
        yield
        files.put(ACTIVE, File())
        files.sync()
        yield

    def _active_name(self) -> int:
        return self.state.segment if self.stage.rules.rotation == "born" else ACTIVE
