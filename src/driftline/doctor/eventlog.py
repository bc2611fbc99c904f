"""The log: whether its record can be read, whether the files are what it says, and whether a worker has it."""

import os
import time
from collections import deque
from collections.abc import Iterator

from driftline.doctor.finding import Finding, Installation, duration, size
from driftline.doctor.locks import is_locked
from driftline.doctor.stamp import stamped_at
from driftline.errors import LogDamagedError, LogNotFoundError
from driftline.eventlog.damage import QUARANTINE, lines_set_aside
from driftline.eventlog.loss import Loss, look
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Contents
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.writer import LOSS_REMEDY, PARQUET, SEGMENTS, segment_path
from driftline.outbox.root import OutboxRoot

_AHEAD_S = 5.0
_SHOWN = 3


def check_log(at: Installation) -> Iterator[Finding]:
    """Yields what is found of the log; it may be written meanwhile."""
    locked = is_locked(at.log_dir)
    try:
        _, contents, lost = look(at.log_dir)
        with LogReader(at.log_dir) as log:
            rows, log_id, predecessors = log.rows, log.log_id, log.predecessors
            last = deque(log.lines(max(0, rows - 1)) if not lost else (), maxlen=1)
            text = f"{rows:,} lines, {size(log.size_bytes)}, log {log_id}"
    except LogNotFoundError:
        yield from _no_log(at)
        return
    except LogDamagedError as error:
        remedy = "driftline log repair" if FILE_NAME in error.message else "bring it back from a backup"
        yield Finding("log", "problem", error.message.partition("; ")[0], f"stop the worker, then: {remedy}")
        return
    yield Finding("log", "ok", text)
    yield _segments(at, contents, lost, locked=locked)
    yield _worker(locked=locked)
    yield from _obeyed(at, log_id, predecessors)
    yield from _last(last)
    yield from _quarantine(at)


def _no_log(at: Installation) -> Iterator[Finding]:
    lines = [*(at.log_dir / SEGMENTS).glob("*.jsonl"), *(at.log_dir / PARQUET).glob("day=*/*.parquet")]
    if lines and not (at.log_dir / FILE_NAME).exists():
        text = f"{at.log_dir} has segments and no {FILE_NAME}, which says what is committed in them"
        yield Finding("log", "problem", text, "bring it back from a backup, or: driftline log repair")
    elif at.broker_url:
        yield Finding("log", "ok", "none here: the worker is on another machine, or was never started")
    else:
        yield Finding("log", "ok", "none yet: it is made when the first worker starts")


def _segments(at: Installation, contents: Contents, lost: list[Loss], *, locked: bool) -> Finding:
    if lost:
        text = "; ".join(map(str, lost[:_SHOWN])) + (f"; and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
        return Finding("segments", "problem", text, f"{LOSS_REMEDY} (see docs/log.md)")
    paths = [segment_path(at.log_dir, number) for number in sorted({block.segment for block in contents.blocks})]
    foreign = [path.name for path in paths if not locked and not os.access(path, os.W_OK)]
    if foreign:
        text = f"{len(foreign)} may not be written by this user, such as {foreign[0]}"
        return Finding("segments", "problem", text, "run as the user whose log it is, or: chown -R")
    compacted = f", and {len(contents.files)} Parquet files" if contents.files else ""
    return Finding("segments", "ok", f"{len(paths)}{compacted}, each as long as was committed")


def _worker(*, locked: bool) -> Finding:
    if locked:
        return Finding("worker", "ok", "one has the log")
    return Finding("worker", "warning", "none has the log", "start one, if predictions are to be logged: driftline up")


def _obeyed(at: Installation, log_id: str, predecessors: frozenset[str]) -> Iterator[Finding]:
    obeyed = OutboxRoot(at.outbox_dir).log_id()
    if obeyed in {None, log_id}:
        return
    if obeyed in predecessors:
        yield Finding("obeyed log", "ok", f"the outboxes still obey {obeyed}, and will follow to {log_id}")
        return
    text = f"the outboxes obey log {obeyed}, and this one is {log_id}: they delete nothing, and fill up"
    yield Finding(
        "obeyed log", "problem", text, f"bring that log back, or if it is lost: driftline log replace {obeyed}"
    )


def _last(last: deque[bytes]) -> Iterator[Finding]:
    at = stamped_at(last[0]) if last else None
    if at is None:
        return
    ahead_s = at - time.time()
    if ahead_s > _AHEAD_S:
        text = f"the last event is stamped {duration(ahead_s)} in the future"
        remedy = "some machine's clock is wrong, or was: keep all of them set with NTP"
        yield Finding("last event", "warning", text, remedy)
    else:
        yield Finding("last event", "ok", f"{duration(max(0.0, -ahead_s))} ago")


def _quarantine(at: Installation) -> Iterator[Finding]:
    lines = lines_set_aside(at.log_dir)
    if lines:
        text = f"{lines:,} damaged lines are set aside in {at.log_dir / QUARANTINE}"
        yield Finding("damage", "problem", text, "bring the segment back from a backup: see docs/log.md, Damage")
