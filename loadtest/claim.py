"""The claim that a load test checks: every answer is in the log, exactly once.

A run marks each of its requests (``X-Request-Id``), and Driftline keeps the mark in the event
(``client_request_id``). So the lines of a run are known without trusting a counter, whatever else is being logged.
"""

import contextlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from driftline.contract.headers import LOGGED_HEADER
from driftline.errors import LogNotFoundError
from driftline.eventlog.reader import LogReader
from inputs import THRESHOLD, probability_of

TOLERANCE = 1e-12
POLL_S = 0.2
ANOTHER_LOG = ", which has no line of this run at all: is it the log of that Driftline? --data DIR names another"

Outcome = Literal["holds", "broken", "not checked"]


class WrongAnswerError(Exception):
    """An answer is not what the service promises; the message says why in a few words."""


def checked_id(status: int, content: bytes | None, features: dict[str, float]) -> str:
    """The ``request_id`` of an answer to ``features``, once everything in that answer has been checked.

    Raises:
        WrongAnswerError: The status is not 200, or the probability or the class is not the model's.
    """
    if status != HTTPStatus.OK:
        raise WrongAnswerError(f"status {status}" if status else "no answer")
    try:
        answer = json.loads(content or b"")
    except ValueError:
        raise WrongAnswerError("not JSON") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("request_id"), str) or not answer["request_id"]:
        raise WrongAnswerError("no request_id")
    probability = answer.get("probability")
    if not isinstance(probability, float) or not 0.0 <= probability <= 1.0:
        raise WrongAnswerError("no probability in 0..1")
    if abs(probability - probability_of(features)) > TOLERANCE:
        raise WrongAnswerError("not the model's probability")
    if answer.get("predicted_class") != int(probability >= THRESHOLD):
        raise WrongAnswerError("predicted_class contradicts the probability")
    request_id: str = answer["request_id"]
    return request_id


@dataclass(slots=True)
class Run:
    """What one load test has asked and been answered.

    Attributes:
        name: Random; the beginning of every mark of this run.
        sent: Requests begun.
        failed: Requests with a wrong answer or a broken connection.
        unlogged: Right answers that came with a header which says that they could not be kept.
        answered: The ``request_id`` of every other right answer, in order.
        told: The ``request_id`` of each answer whose outcome was taken.
        untaken: Outcomes that were not taken.
    """

    name: str = field(default_factory=lambda: secrets.token_hex(6))
    sent: int = 0
    failed: int = 0
    unlogged: int = 0
    answered: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    untaken: int = 0

    def take(self, request_id: str, headers: Mapping[str, str]) -> None:
        """Counts a right answer; only one that does not say otherwise has to be in the log."""
        if headers.get(LOGGED_HEADER) == "no":
            self.unlogged += 1
        else:
            self.answered.append(request_id)

    def mark(self) -> str:
        """The mark of the next request, which counts as sent from now on."""
        self.sent += 1
        return f"{self.name}-{self.sent}"

    @property
    def cut(self) -> int:
        """Requests that the end of the run cut off: nobody saw their answer, so they may or may not be logged."""
        return self.sent - self.failed - self.unlogged - len(self.answered)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a load test found.

    Attributes:
        outcome: ``holds``, ``broken``, or ``not checked`` when the log could not be seen.
        run: The run's name, which the ``client_request_id`` of its lines begins with.
        reasons: Why it does not hold or was not checked, a few words each.
        lines: Lines of this run in the log.
        lost: Answered ids that the log does not have.
        repeated: Answered ids that the log has more than once.
        unlogged: Answers that said they could not be kept; the log may have them or not.
        unasked: Ids that are logged for this run but were never answered.
        outcomes: Outcomes that were taken.
        untaken: Outcomes that were not.
        forgotten: Ids whose outcome was taken and is not in the log.
    """

    outcome: Outcome
    run: str
    reasons: tuple[str, ...]
    answers: int
    failures: int
    cut: int
    unlogged: int = 0
    lines: int | None = None
    lost: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    outcomes: int = 0
    untaken: int = 0
    forgotten: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON takes it."""
        return asdict(self)


class LinesOfRun:
    """Counts a run's lines in a log, from a row on; keeps ids only.

    Args:
        run: Whose lines.
        log_dir: The log. It need not exist before the first event is committed.
        start_row: The first row that can be of this run.
    """

    def __init__(self, run: Run, log_dir: Path, start_row: int) -> None:
        self._log_dir = log_dir
        self._row = start_row
        self._mark = f"{run.name}-"
        self._answered = frozenset(run.answered)
        self._told = frozenset(run.told)
        self.times: Counter[str] = Counter()
        self.told: set[str] = set()

    def read_on(self) -> None:
        """Takes in what was committed since the last call.

        Raises:
            LogNotFoundError: There is no log yet.
        """
        with LogReader(self._log_dir) as log:
            stop = log.rows
            self._take(log.lines(self._row, stop))
            self._row = stop

    def _take(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            event = json.loads(line)
            request_id = event.get("request_id")
            if event.get("kind") == "feedback":
                self.told |= self._told & {request_id}
            elif event.get("kind") == "shadow":
                continue  # a challenger's score of the same request, under the same id
            elif request_id in self._answered or str(event.get("client_request_id")).startswith(self._mark):
                self.times[request_id] += 1

    @property
    def complete(self) -> bool:
        """Whether every answered id has been seen, and every outcome that was taken."""
        return self._answered <= self.times.keys() and self._told == self.told


def row_count(log_dir: Path) -> int:
    """How many lines the log has now; 0 if there is no log yet."""
    try:
        with LogReader(log_dir) as log:
            return log.rows
    except LogNotFoundError:
        return 0


def read_until_complete(lines: LinesOfRun, deadline_s: float, settle_s: float) -> None:
    """Reads a log until it has every answer of the run, or until the deadline, and a moment longer.

    Raises:
        LogNotFoundError: There was no log until the deadline.
    """
    deadline = time.monotonic() + deadline_s
    while not lines.complete and time.monotonic() < deadline:
        time.sleep(POLL_S)
        with contextlib.suppress(LogNotFoundError):
            lines.read_on()
    time.sleep(settle_s)
    lines.read_on()


def judge(
    run: Run, log_dir: Path | None, *, start_row: int = 0, deadline_s: float = 30.0, settle_s: float = 1.0
) -> Verdict:
    """Whether the claim holds for a run that is over.

    Args:
        run: What was asked and answered.
        log_dir: The log, or ``None`` if it cannot be seen from here.
        start_row: How many lines the log had before the run.
        deadline_s: How long the log may take to catch up.
        settle_s: How long it is watched after that: an event that is logged twice comes late.
    """
    verdict = Verdict("holds", run.name, tuple(faults_of(run)), len(run.answered), run.failed, run.cut, run.unlogged)
    verdict = replace(verdict, outcomes=len(run.told), untaken=run.untaken)
    if log_dir is None:
        outcome: Outcome = "broken" if verdict.reasons else "not checked"
        return replace(verdict, outcome=outcome, reasons=(*verdict.reasons, "the log was not looked at"))
    lines = LinesOfRun(run, log_dir, start_row)
    try:
        read_until_complete(lines, deadline_s, settle_s)
    except LogNotFoundError:
        hint = f"there is no log in {log_dir}: give --data DIR, or --data none if it is on another machine"
        return replace(verdict, outcome="broken", reasons=(*verdict.reasons, hint))
    answered = set(run.answered)
    verdict = replace(
        verdict,
        lines=lines.times.total(),
        lost=tuple(request_id for request_id in run.answered if request_id not in lines.times),
        repeated=tuple(request_id for request_id, times in lines.times.items() if times > 1),
        unasked=tuple(request_id for request_id in lines.times if request_id not in answered),
        forgotten=tuple(sorted(run.told - lines.told)),
    )
    reasons = (*verdict.reasons, *faults_of_log(verdict))
    return replace(verdict, outcome="broken" if reasons else "holds", reasons=reasons)


def faults_of(run: Run) -> Iterator[str]:
    """What is wrong with the answers of a run, without a look at the log."""
    if not run.answered:
        yield "nothing was answered"
    if run.failed:
        yield f"{run.failed:,} requests failed"
    if run.untaken:
        yield f"{run.untaken:,} outcomes were not taken"
    if len(set(run.answered)) != len(run.answered):
        yield "a request_id was given twice"


def faults_of_log(verdict: Verdict) -> Iterator[str]:
    """What is wrong with the log, given what was answered."""
    if verdict.lost:
        yield f"{len(verdict.lost):,} answered ids are not in the log{'' if verdict.lines else ANOTHER_LOG}"
    if verdict.repeated:
        yield f"{len(verdict.repeated):,} ids are in the log more than once"
    if verdict.forgotten:
        yield f"{len(verdict.forgotten):,} outcomes that were taken are not in the log"
    # A failed or cut request may be logged although its answer never arrived, and one that was not kept because a sync
    # failed may have been written all the same; nothing else may.
    if len(verdict.unasked) > verdict.cut + verdict.failures + verdict.unlogged:
        yield f"{len(verdict.unasked):,} logged ids were never answered"
