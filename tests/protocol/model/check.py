"""The judge: what must hold once the faults have stopped."""

from collections import Counter
from collections.abc import Sequence

from tests.protocol.model.api import Api
from tests.protocol.model.log import Line, Log
from tests.protocol.model.outbox import scan
from tests.protocol.model.rules import Harm, Violation
from tests.protocol.model.stage import Stage


def unfinished(stage: Stage, apis: Sequence[Api | None]) -> str:
    """Returns what is still to be done, or nothing."""
    committed = stage.official().database.state.committed
    owned = [api.own for api in apis if api is not None and api.alive]
    for directory in stage.root.directories().values():
        end, seq = scan(directory, stage.rules).end, committed.get(directory.producer, 0)
        if end > seq:
            return f"{directory.producer} has {end} events, and the log {seq} of them"
        if directory not in owned:
            return f"the drained directory of {directory.producer} is not removed"
        if len(directory.firsts()) > 1:
            return f"{directory.producer} keeps segments that are acknowledged"
    return ""


def judge(stage: Stage) -> None:
    """Compares the log with what was answered.

    Raises:
        Violation: The promise is broken.
    """
    log = stage.official()
    if log.refused:
        return  # a person has to see to it, and all is as it was
    lines = [_whole(log, line) for line in log.lines()]
    _check_lines(stage, lines)
    _check_ledger(stage, log, lines)
    _check_strays(stage, log)
    logged = {line.event for line in lines}
    for event in stage.witness.answered:
        if event not in logged and event not in stage.witness.excused:
            _check_missing(stage, log, event)


def _whole(log: Log, line: object) -> Line:
    if not isinstance(line, Line):
        raise Violation(Harm.TORN, f"log {log.name}: {line}")
    return line


def _check_lines(stage: Stage, lines: list[Line]) -> None:
    """Every line is the event of its number; the events of a producer stand in order, each once."""
    following: dict[str, int] = {}
    for (producer, seq), count in Counter((line.producer, line.seq) for line in lines).items():
        if count > 1:
            raise Violation(Harm.TWICE, f"{producer}/{seq} stands {count} times in the log")
    for line in lines:
        if stage.witness.where[line.event] != (line.producer, line.seq):
            raise Violation(Harm.WRONG, f"{line} is {stage.witness.where[line.event]}")
        if line.seq < following.get(line.producer, 0):
            raise Violation(Harm.WRONG, f"{line} stands behind {line.producer}/{following[line.producer] - 1}")
        following[line.producer] = line.seq + 1


def _check_ledger(stage: Stage, log: Log, lines: list[Line]) -> None:
    """What is committed of a producer is in the log, in a gap, or was damaged: nothing else, and nothing twice."""
    state = log.database.state
    accounted = Counter(line.producer for line in lines)
    accounted.update(producer for producer, _ in state.tombstones)
    for producer, first, stop in state.gaps:
        accounted[producer] += stop - first
    for producer in {**state.committed, **accounted}:
        committed = state.committed.get(producer, 0)
        if accounted[producer] != committed and stage.rules.remember_producers:
            raise Violation(Harm.UNBALANCED, f"{producer}: {accounted[producer]} accounted for, {committed} committed")


def _check_strays(stage: Stage, official: Log) -> None:
    for log in stage.logs.values():
        if log is not official and log.name not in official.predecessors and log.ever:
            raise Violation(Harm.STRAYED, f"log {log.name} has {sorted(log.ever)}, and log {official.name} is obeyed")


def _check_missing(stage: Stage, log: Log, event: int) -> None:
    """An answered event that is not in the log: is there a reason that counts, and is it reported?"""
    witness, state = stage.witness, log.database.state
    producer, seq = witness.where[event]
    committed, closed = state.committed.get(producer, 0), stage.root.closed().get(producer, 0)
    in_gap = any(name == producer and first <= seq < stop for name, first, stop in state.gaps)
    reported = in_gap or (producer, seq) in state.tombstones or committed <= seq < closed
    unfinished_tail = seq >= closed and seq >= committed  # never whole again: its bytes are or will be quarantined
    where = f"event {event}, {producer}/{seq}, committed {committed}, closed {closed}"
    if event in witness.damaged:
        if not reported and not unfinished_tail:
            raise Violation(Harm.UNREPORTED, f"damaged {where}")
    elif event in witness.restored_away:
        both_lost = stage.sync == "os" and witness.api_power_cuts
        if not reported and not both_lost:
            raise Violation(Harm.UNREPORTED, f"restored away: {where}")
    else:
        raise Violation(Harm.LOST if seq >= committed else Harm.SKIPPED, where + (" in a gap" if in_gap else ""))
