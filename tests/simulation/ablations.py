"""The real code with one of its rules broken: what the simulation must find."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from driftline.durable import sync_content
from driftline.eventlog import seal
from driftline.eventlog.record import Commit
from driftline.eventlog.store import LogStore
from driftline.eventlog.writer import LogWriter
from driftline.outbox.outbox import Outbox
from driftline.outbox.segments import segment_firsts, segment_name
from driftline.transport.batch import Batch
from driftline.transport.lane import Lane
from driftline.worker.intake import Intake, decide
from tests.simulation.lives import Sync, Transport
from tests.simulation.schedule import Schedule, draw

Patches = Mapping[str, Any]


@dataclass(frozen=True)
class Ablation:
    """A rule, and what the code does without it.

    Attributes:
        name: That of the rule, as in ``tests/protocol``.
        patches: What stands in the code's place, by the name of what is replaced.
        faults: Under which it shows.
        transport: Where it shows; None for anywhere.
        sync: As ``transport``.
    """

    name: str
    patches: Patches
    faults: tuple[str, ...]
    transport: Transport | None = None
    sync: Sync | None = None

    def draw(self, seed: int) -> Schedule:
        """Returns a schedule under which it may show."""
        return draw(seed, only=self.faults, transport=self.transport, sync=self.sync)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the rule is broken."""
        with ExitStack() as stack:
            for target, replacement in self.patches.items():
                stack.enter_context(patch(target, replacement))
            yield


def _nothing(*_: object) -> None:
    return None


def _uses_seqs_again(outbox: Outbox, fd: int, parts: object) -> None:
    try:
        os.ftruncate(fd, outbox._segment_bytes)
    except OSError as error:
        outbox._retire(f"a failed append could not be cut back: {error.strerror}")


async def _answers_at_once(outbox: Outbox) -> None:
    return None


def _syncs_again(fd: int) -> None:
    try:
        sync_content(fd)
    except OSError:
        sync_content(fd)


def _believes_the_highest(acknowledge: Callable[[Lane, int], None]) -> Callable[[Lane, int], None]:
    return lambda lane, committed: acknowledge(lane, max(committed, lane.committed))


def _releases_begun_segments(directory: Path, committed: int) -> int:
    freed = 0
    for first, _ in pairwise(segment_firsts(directory)):
        if first < committed:
            path = directory / segment_name(first)
            freed += path.stat().st_size
            path.unlink()
    return freed


def _locks_nothing(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def _does_not_cut(recover: Callable[[LogWriter, LogStore], None]) -> Callable[[LogWriter, LogStore], None]:
    def recovered(writer: LogWriter, store: LogStore) -> None:
        with patch.object(os, "ftruncate", _nothing):
            recover(writer, store)

    return recovered


def _takes_what_it_has(batches: Iterable[Batch], committed: Mapping[str, int]) -> Intake:
    came, again = list(batches), dict(committed)
    for batch in came:
        again[batch.producer] = min(batch.first_seq, again.get(batch.producer, 0))
    return decide(came, again)


def _takes_what_comes_early(batches: Iterable[Batch], committed: Mapping[str, int]) -> Intake:
    def begun(batch: Batch) -> int:
        return max(batch.first_seq, committed.get(batch.producer, 0))

    return decide(batches, {**committed, **{batch.producer: begun(batch) for batch in batches}})


def _waits_for_what_is_gone(batches: Iterable[Batch], committed: Mapping[str, int]) -> Intake:
    return decide([replace(batch, base_seq=0) for batch in batches], committed)


def _in_two_transactions(commit: Callable[[LogStore, Commit], None]) -> Callable[[LogStore, Commit], None]:
    def committed(store: LogStore, what: Commit) -> None:
        commit(store, Commit(what.block, {}))
        commit(store, what)

    return committed


def _seals_afterwards(commit: Callable[[LogStore, Commit], None]) -> Callable[[LogStore, Commit], None]:
    def committed(store: LogStore, what: Commit) -> None:
        changes: list[int] = []
        with patch.object(seal, "follow", lambda _, change: changes.append(change)):
            commit(store, what)
        with store._transaction():
            seal.follow(store._connection, sum(changes))

    return committed


_KILLS = ("crash_api", "crash_worker", "start_api")
_POWER = ("cut_power_of_api", "cut_power_of_worker")
_BROKER = ("lose", "duplicate", "reorder", "delay", "deliver", "trim", "flush")
_OPERATOR = ("back_up_log", "restore_log")

ABLATIONS = (
    Ablation("answer-after-sync", {"driftline.outbox.outbox.Outbox.synced": _answers_at_once}, _POWER, sync="always"),
    Ablation("sync-names", {"driftline.outbox.root.sync_directory": _nothing}, _POWER, sync="always"),
    Ablation(
        "failed-sync-retried",
        {"driftline.outbox.outbox.sync_content": _syncs_again},
        ("refuse_syncs", *_POWER),
        sync="always",
    ),
    Ablation(
        "keep-whole",
        {"driftline.outbox.outbox.Outbox._cut_back": _uses_seqs_again},
        ("refuse_writes",),
        transport="local",
    ),
    Ablation("lock-outbox", {"driftline.outbox.orphans.lock_directory": _locks_nothing}, ("start_api", *_BROKER)),
    Ablation(
        "record-closed", {"driftline.outbox.segments.OutboxRoot.record_closed": _nothing}, (*_OPERATOR, "kill_all")
    ),
    Ablation(
        "believe-latest",
        {"driftline.transport.lane.Lane.acknowledge": _believes_the_highest(Lane.acknowledge)},
        _OPERATOR,
        transport="redis",
    ),
    Ablation("resend", {"driftline.transport.lane.Lane.stalled": lambda lane: False}, _BROKER, transport="redis"),
    Ablation("whole-segments", {"driftline.outbox.outbox.release": _releases_begun_segments}, _KILLS),
    Ablation("drop-seen", {"driftline.worker.scribe.decide": _takes_what_it_has}, _BROKER, transport="redis"),
    Ablation("leave-gap", {"driftline.worker.scribe.decide": _takes_what_comes_early}, _BROKER, transport="redis"),
    Ablation("go-on-from-base", {"driftline.worker.scribe.decide": _waits_for_what_is_gone}, _OPERATOR),
    Ablation("sync-before-commit", {"driftline.eventlog.writer.sync_content": _nothing}, _POWER),
    Ablation(
        "one-transaction", {"driftline.eventlog.store.LogStore.commit": _in_two_transactions(LogStore.commit)}, _KILLS
    ),
    Ablation(
        "seal-in-transaction", {"driftline.eventlog.store.LogStore.commit": _seals_afterwards(LogStore.commit)}, _KILLS
    ),
    Ablation(
        "cut-on-start",
        {"driftline.eventlog.writer.LogWriter._recover_files": _does_not_cut(LogWriter._recover_files)},
        _KILLS,
    ),
    Ablation("sync-log-names", {"driftline.eventlog.writer.sync_directory": _nothing}, _POWER),
)
