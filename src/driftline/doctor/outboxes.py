"""The outboxes: who owns them, how much waits in them and for how long, and which log they obey."""

import time
from collections.abc import Iterator, Mapping

from driftline.doctor.finding import Finding, Installation, duration, size
from driftline.doctor.locks import is_locked
from driftline.doctor.stamp import stamped_at
from driftline.errors import LogError
from driftline.eventlog.reader import LogReader
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import held_bytes

_LATE_S = 60.0
_FULL_RATIO = 0.8


def check_outboxes(at: Installation) -> Iterator[Finding]:
    """Yields what is found in the outboxes; their directories are read, and nothing in them is changed."""
    root = OutboxRoot(at.outbox_dir)
    if not at.outbox_dir.is_dir():
        yield Finding("outboxes", "ok", "none yet")
        return
    producers = root.producers()
    living = [producer for producer in producers if is_locked(root.path / producer)]
    orphans = [producer for producer in producers if producer not in living]
    held = sum(held_bytes(root.path / producer) for producer in producers)
    text = f"{len(living)} in use, {len(orphans)} left behind; they hold {size(held)}"
    most = at.processes * at.outbox_max_bytes
    if held >= _FULL_RATIO * most:
        remedy = "find out why the log is not taking; raise outbox_max_bytes meanwhile"
        yield Finding("outboxes", "problem", f"{text} of the {size(most)} that they may", remedy)
    else:
        yield Finding("outboxes", "ok", text)
    yield from _waiting(at, root, producers, orphans)
    yield from _quarantine(root)


def _waiting(at: Installation, root: OutboxRoot, producers: list[str], orphans: list[str]) -> Iterator[Finding]:
    committed = _committed(at)
    if committed is None:
        return  # what the log says of itself is another check's
    waiting: dict[str, float] = {}
    count = 0
    for producer in producers:
        number, age_s = _uncommitted(root, producer, committed.get(producer, 0))
        count += number
        if number:
            waiting[producer] = age_s
    if not count:
        yield Finding("on the way", "ok", "nothing waits: every event is in the log")
        return
    oldest_s = max(waiting.values())
    text = f"{count:,} events are not in the log yet, the oldest for {duration(oldest_s)}"
    left = [producer for producer in orphans if producer in waiting]
    if oldest_s < _LATE_S:
        yield Finding("on the way", "ok", text)
    elif len(left) == len(waiting) and at.broker_url is not None:
        remedy = "start driftline serve: an API process takes up what others have left"
        yield Finding("on the way", "warning", f"{text}, and their process is gone", remedy)
    else:
        remedy = "is a worker running? Its log and /health say what it waits for"
        yield Finding("on the way", "problem", text, remedy)


def _committed(at: Installation) -> Mapping[str, int] | None:
    """What the log on this machine has; None if there is none here, as where the worker is on another."""
    try:
        with LogReader(at.log_dir) as log:
            return log.committed()
    except LogError:
        return None if at.log_dir.exists() or at.broker_url else {}


def _uncommitted(root: OutboxRoot, producer: str, committed: int) -> tuple[int, float]:
    """How many events the log lacks, and the age of the first of them in seconds."""
    reader = OutboxReader(root, producer, sets_aside=False)
    try:
        oldest = reader.oldest()
        if oldest is None:
            return 0, 0.0
        stop = reader.end()
        start = max(oldest, committed)
        if start >= stop:
            return 0, 0.0
        reader.seek(start)
        events = reader.read(1, 1 << 16).events
    finally:
        reader.close()
    at = stamped_at(events[0]) if events else None
    return stop - start, 0.0 if at is None else max(0.0, time.time() - at)


def _quarantine(root: OutboxRoot) -> Iterator[Finding]:
    directory = root.path / "quarantine"
    files = list(directory.iterdir()) if directory.is_dir() else []
    if files:
        text = f"{len(files)} pieces of damaged or unfinished records were set aside in {directory}"
        yield Finding(
            "quarantine", "warning", text, "look at the disk's health (smartctl, dmesg); driftline ledger has the count"
        )
