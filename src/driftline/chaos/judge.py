"""The judge: what was answered against what stands in the files of the log."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from driftline.chaos.history import Entry, History, Outcome
from driftline.chaos.requests import Requests
from driftline.contract.schema import ModelSchema
from driftline.errors import DriftlineError
from driftline.eventlog.parquet_files import days_on_disk, parquet_path
from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import PARQUET, SEGMENTS, segment_path
from driftline.scoring import Model
from driftline.transport.ledger import take_ledger

_EXAMPLES: Final = 10


class _Line(msgspec.Struct, tag_field="kind", tag="prediction"):
    request_id: str
    features: dict[str, float]
    probability: float
    predicted_class: int
    producer: str
    seq: int


class _ToldLine(msgspec.Struct, tag_field="kind", tag="feedback"):
    request_id: uuid.UUID
    outcome: int
    at: str
    producer: str
    seq: int


@dataclass
class Verdict:
    """What the judge found.

    Attributes:
        sent: Requests.
        answered: Those that got a 200.
        refused: Those that got another status, by status.
        unknown: Those that were never heard of again; each may be in the log, once.
        garbled: Those whose response was none of ours.
        lines: In the files of the log.
        unknown_logged: Unknown requests that are in the log.
        refused_logged: Refused ones that are, which the promise allows: nobody was told a prediction.
        lost: Answered requests that are not in the log.
        doubled: Lines too many: of a request, of a ``(producer, seq)``, or of a request id.
        altered: Lines that say something else than was answered.
        foreign: Lines that stem from no request, or were made for one and never answered, while it was answered.
        problems: What else is wrong, a sentence each.
        examples: Some of what is wrong, by what it is.
        ledger: What ``driftline ledger`` says.
    """

    sent: int = 0
    answered: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    unknown: int = 0
    garbled: int = 0
    lines: int = 0
    unknown_logged: int = 0
    refused_logged: int = 0
    lost: int = 0
    doubled: int = 0
    altered: int = 0
    foreign: int = 0
    problems: list[str] = field(default_factory=list)
    examples: dict[str, list[str]] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept, and all else is as it should be."""
        return not (self.lost or self.doubled or self.altered or self.foreign or self.garbled or self.problems)

    def example(self, what: str, text: str) -> None:
        """Keeps the first few of each kind."""
        some = self.examples.setdefault(what, [])
        if len(some) < _EXAMPLES:
            some.append(text)


@dataclass(frozen=True)
class _Books:
    """What has been met: requests by number, ids nobody was told, and the numbers of each producer, a byte each."""

    seen: bytearray
    heard: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, bytearray] = field(default_factory=dict)


class Judge:
    """Compares a history with a log that nobody writes any more.

    It reads the files themselves, line by line, as anybody would; that the log's own reader sees the same lines, and
    that the ledger agrees, is checked as well. Takes about 60 bytes of memory a request.

    Args:
        schema: What the model takes.
        model: Scores again what nobody got an answer for.
        seed: Of the run.
    """

    def __init__(self, schema: ModelSchema, model: Model, seed: int) -> None:
        self._requests = Requests(schema, seed)
        self._names = schema.names
        self._threshold = schema.threshold
        self._score = model.score_row
        self._decode = msgspec.json.Decoder(_Line | _ToldLine).decode

    def judge(self, history: History, outbox_dir: Path, log_dir: Path) -> Verdict:
        """Returns the verdict; ``history`` must hold all requests that were ever sent."""
        verdict = Verdict(sent=history.sent)
        read, books = hashlib.blake2b(), _Books(bytearray(history.sent))
        for line in plain_lines(log_dir):
            verdict.lines += 1
            read.update(line + b"\n")
            self._judge_line(line, history, verdict, books)
        _judge_history(history, verdict, books)
        _compare_reader(log_dir, verdict, read.digest())
        _take_ledger(outbox_dir, log_dir, verdict)
        return verdict

    def _judge_line(self, content: bytes, history: History, verdict: Verdict, books: "_Books") -> None:
        try:
            line = self._decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            _foreign(verdict, f"no event: {content[:120]!r}")
            return
        told = isinstance(line, _ToldLine)
        number = self._requests.told_number(line.request_id) if told else self._requests.number(line.features)
        if number is None or number >= history.sent:
            _foreign(verdict, f"{line.request_id}: nobody {'gave such feedback' if told else 'sent such features'}")
            return
        if _repeated(line, verdict, books, history.sent):
            return
        entry = history.entry(number)
        if told:
            self._judge_told(line, entry, number, verdict, books)
            return
        if entry.outcome == Outcome.ANSWERED:
            if line.request_id != entry.request_id:
                _foreign(verdict, f"{line.request_id}: request {number} was answered as {entry.request_id}")
                return
        else:
            score = self._score(tuple(line.features[name] for name in self._names))
            assert isinstance(score, float)
            entry = entry._replace(probability=score)
            entry = entry._replace(predicted_class=int(entry.probability >= self._threshold))
        if not _met_again(line, entry, number, verdict, books):
            _compare(line, entry, verdict, books)

    def _judge_told(self, line: _ToldLine, entry: Entry, number: int, verdict: Verdict, books: "_Books") -> None:
        told = self._requests.told(number)
        if (
            not _met_again(line, entry, number, verdict, books)
            and told is not None
            and (line.outcome, line.at) != told[1:]
        ):
            verdict.altered += 1
            verdict.example(
                "altered", f"feedback on {line.request_id}: {line.outcome} at {line.at} in the log, {told} given"
            )


def plain_lines(log_dir: Path) -> Iterator[bytes]:
    """Yields the lines of the log's files in their order, whatever is recorded as committed."""
    numbers = {int(path.stem) for path in (log_dir / SEGMENTS).glob("*.jsonl")}
    numbers |= {int(path.stem) for path in (log_dir / PARQUET).glob("day=*/*.parquet")}
    for number in sorted(numbers):
        path = segment_path(log_dir, number)
        if not path.exists():
            yield from _parquet_lines([parquet_path(log_dir, number, day) for day in days_on_disk(log_dir, number)])
            continue
        with path.open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")


def _parquet_lines(paths: list[Path]) -> Iterator[bytes]:
    from driftline.eventlog.parquet import rows_of, windows  # noqa: PLC0415 (DuckDB takes long to load)

    stretches = [rows_of(path) for path in paths]
    start_row, stop_row = min(first for first, _, _ in stretches), max(stop for _, stop, _ in stretches)
    for lines in windows(paths, [], start_row, stop_row):
        yield from (line for _, line in lines)


def _met_again(line: _Line | _ToldLine, entry: Entry, number: int, verdict: Verdict, books: _Books) -> bool:
    """Whether this request was met before."""
    if books.seen[number]:
        verdict.doubled += 1
        verdict.example("doubled", f"{line.request_id} is in the log again")
        return True
    books.seen[number] = 1
    verdict.unknown_logged += entry.outcome in {Outcome.UNKNOWN, Outcome.GARBLED}
    verdict.refused_logged += entry.outcome == Outcome.REFUSED
    return False


def _compare(line: _Line, entry: Entry, verdict: Verdict, books: _Books) -> None:
    if entry.outcome != Outcome.ANSWERED:
        books.heard[line.request_id] += 1
    if (line.probability, line.predicted_class) != (entry.probability, entry.predicted_class):
        verdict.altered += 1
        verdict.example(
            "altered",
            f"{line.request_id}: {line.probability!r}, class {line.predicted_class} in the log, "
            f"{entry.probability!r}, class {entry.predicted_class} answered",
        )


def _repeated(line: _Line | _ToldLine, verdict: Verdict, books: _Books, sent: int) -> bool:
    """Whether this (producer, seq) was there before; each number below the count of requests has a byte."""
    if not 0 <= line.seq < sent:
        _foreign(verdict, f"{line.request_id}: seq {line.seq}, and only {sent} requests were sent")
        return True
    mine = books.numbers.setdefault(line.producer, bytearray())
    if len(mine) <= line.seq:
        mine.extend(bytes(line.seq + 1 - len(mine)))
    if mine[line.seq]:
        verdict.doubled += 1
        verdict.example("doubled", f"{line.request_id}: event {line.seq} of producer {line.producer} again")
        return True
    mine[line.seq] = 1
    return False


def _judge_history(history: History, verdict: Verdict, books: _Books) -> None:
    outcomes: Counter[Outcome] = Counter()
    refused: Counter[int] = Counter()
    for number, entry in enumerate(history.entries()):
        outcomes[entry.outcome] += 1
        if entry.outcome == Outcome.REFUSED:
            refused[entry.status] += 1
        if entry.outcome != Outcome.ANSWERED:
            continue
        books.heard[entry.request_id] += entry.request_id in books.heard
        if not books.seen[number]:
            verdict.lost += 1
            verdict.example("lost", f"{entry.request_id}, request {number}")
    repeated = {name: count - 1 for name, count in books.heard.items() if count > 1}
    verdict.doubled += sum(repeated.values())
    for name in repeated:
        verdict.example("doubled", f"{name} is the id of several requests")
    verdict.answered = outcomes[Outcome.ANSWERED]
    verdict.unknown = outcomes[Outcome.UNKNOWN]
    verdict.garbled = outcomes[Outcome.GARBLED]
    verdict.refused = dict(sorted(refused.items()))


def _foreign(verdict: Verdict, text: str) -> None:
    verdict.foreign += 1
    verdict.example("foreign", text)


def _compare_reader(log_dir: Path, verdict: Verdict, digest: bytes) -> None:
    read, rows = hashlib.blake2b(), 0
    try:
        with LogReader(log_dir) as log:
            for line in log.lines():
                read.update(line + b"\n")
                rows += 1
    except DriftlineError as error:
        if verdict.lines or verdict.answered:
            verdict.problems.append(f"the log cannot be read: {error.message}")
        return
    if rows != verdict.lines:
        verdict.problems.append(f"{rows:,} lines are committed, and {verdict.lines:,} are in the files")
    elif read.digest() != digest:
        verdict.problems.append("the committed lines are not those in the files")


def _take_ledger(outbox_dir: Path, log_dir: Path, verdict: Verdict) -> None:
    try:
        ledger = take_ledger(outbox_dir, log_dir)
    except DriftlineError as error:
        if verdict.lines or verdict.answered:
            verdict.problems.append(f"there is no ledger: {error.message}")
        return
    verdict.ledger = ledger.as_dict()
    for name in ("missing", "duplicated", "in_flight", "quarantined"):
        if count := getattr(ledger, name):
            verdict.problems.append(f"the ledger says {name.replace('_', ' ')} {count:,}")
    if ledger.damaged:
        verdict.problems.append(f"the ledger says damaged: {', '.join(ledger.damaged)}")
    if ledger.logged + ledger.duplicated != verdict.lines:
        verdict.problems.append(f"the ledger counts {ledger.logged:,} lines, and {verdict.lines:,} are in the files")
