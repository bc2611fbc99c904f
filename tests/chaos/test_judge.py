"""The judge finds whatever is wrong, and nothing where nothing is: it reads a log that a real writer has written."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftline.chaos.history import History
from driftline.chaos.judge import Judge, Verdict
from driftline.chaos.requests import Requests
from driftline.eventlog.writer import LogWriter
from driftline.scoring import load_package, seed_package

SEED = 11
SCHEMA, MODEL = load_package(seed_package())
REQUESTS = Requests(SCHEMA, SEED)
PRODUCER = uuid.UUID(int=1).hex
Line = dict[str, Any]


def line_of(number: int, seq: int | None = None) -> Line:
    """What the log has of a request that went well."""
    features = REQUESTS.features(number)
    probability = MODEL.score_row(tuple(features.values()))
    assert isinstance(probability, float)
    return {
        "kind": "prediction",
        "request_id": str(uuid.UUID(int=number + 1)),
        "features": features,
        "probability": probability,
        "predicted_class": int(probability >= SCHEMA.threshold),
        "producer": PRODUCER,
        "seq": number if seq is None else seq,
    }


class Case:
    """A history, and a log that is to be judged by it."""

    def __init__(self, folder: Path) -> None:
        self.history = History(folder / "history")
        self.outbox_dir, self.log_dir = folder / "outbox", folder / "logs"

    def answer(self, count: int) -> list[Line]:
        """Answers so many requests; returns the lines that this promises."""
        lines = []
        for _ in range(count):
            line = line_of(self.history.next_number())
            self.history.answered(
                REQUESTS.number(line["features"]) or 0, line["request_id"], line["probability"], line["predicted_class"]
            )
            lines.append(line)
        return lines

    def judge(self, lines: list[Line | bytes]) -> Verdict:
        """Writes these lines as the worker would, and judges them."""
        written = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        writer = LogWriter(self.log_dir)
        assert writer.try_open()
        end = max((line["seq"] + 1 for line in lines if isinstance(line, dict)), default=0)
        writer.append(b"".join(line + b"\n" for line in written), len(written), {PRODUCER: end})
        writer.close()
        return self.again()

    def again(self) -> Verdict:
        """Judges what is there."""
        return Judge(SCHEMA, MODEL, SEED).judge(self.history, self.outbox_dir, self.log_dir)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    case = Case(tmp_path)
    with case.history:
        yield case


def found(verdict: Verdict) -> dict[str, int]:
    """What is wrong, without what is not."""
    counts = {name: getattr(verdict, name) for name in ("lost", "doubled", "altered", "foreign")}
    return {name: count for name, count in counts.items() if count}


def test_a_promise_that_was_kept_is_kept(case: Case) -> None:
    verdict = case.judge([*case.answer(5)])
    assert verdict.kept, verdict
    assert (verdict.sent, verdict.answered, verdict.lines) == (5, 5, 5)
    assert verdict.ledger["logged"] == 5


def told_line(number: int) -> Line:
    """What the log has of feedback that went well."""
    told = REQUESTS.told(number)
    assert told is not None
    return {"kind": "feedback", **told._asdict(), "producer": PRODUCER, "seq": number}


def with_feedback(case: Case) -> list[Line]:
    """Eight requests that were answered, the last of them feedback; the lines that this promises."""
    lines = case.answer(7)
    told = told_line(case.history.next_number())
    case.history.answered(7, told["request_id"], 0.0, told["outcome"])
    return [*lines, told]


def test_feedback_that_is_there_once_as_it_was_given_is_kept(case: Case) -> None:
    verdict = case.judge([*with_feedback(case)])
    assert verdict.kept, verdict
    assert verdict.answered == 8


@pytest.mark.parametrize(
    ("last", "wrong"),
    [
        ([], {"lost": 1}),
        ([{}, {"seq": 8}], {"doubled": 1}),
        ([{"outcome": 2}], {"altered": 1}),
        ([{"at": "1970-01-01T00:00:00.000008Z"}], {"altered": 1}),
        ([{"request_id": str(uuid.UUID(int=8))}], {"foreign": 1, "lost": 1}),
        ([{"kind": "rumour"}], {"foreign": 1, "lost": 1}),
    ],
    ids=str,
)
def test_feedback_is_judged_as_predictions_are(case: Case, last: list[Line], wrong: dict[str, int]) -> None:
    *lines, told = with_feedback(case)
    case.history.next_number()
    verdict = case.judge([*lines, *({**told, **change} for change in last)])
    assert found(verdict) == wrong
    assert not verdict.kept


def test_feedback_that_was_never_heard_of_again_may_be_there_or_not(case: Case) -> None:
    *lines, told = with_feedback(case)
    case.history.refused(7, 503)
    assert case.judge([*lines]).kept
    verdict = case.judge([told])
    assert (verdict.kept, verdict.refused_logged) == (True, 1)


def test_an_answer_that_is_not_in_the_log_is_lost(case: Case) -> None:
    verdict = case.judge([*case.answer(5)[:-1]])
    assert found(verdict) == {"lost": 1}
    assert not verdict.kept
    assert verdict.examples["lost"] == [f"{uuid.UUID(int=5)}, request 4"]


def test_a_line_that_is_there_twice_is_doubled(case: Case) -> None:
    lines = case.answer(5)
    verdict = case.judge([*lines, lines[2]])
    assert found(verdict) == {"doubled": 1}
    assert not verdict.kept


def test_a_request_that_is_there_under_two_numbers_is_doubled(case: Case) -> None:
    lines = case.answer(5)
    verdict = case.judge([*lines[:4], {**lines[3], "seq": 4}])
    assert found(verdict) == {"doubled": 1, "lost": 1}


def test_two_requests_under_one_number_are_doubled(case: Case) -> None:
    lines = case.answer(5)
    verdict = case.judge([*lines[:4], {**lines[4], "seq": 3}])
    assert found(verdict) == {"doubled": 1, "lost": 1}


@pytest.mark.parametrize("change", [{"probability": 0.123}, {"predicted_class": 7}], ids=str)
def test_another_value_than_was_answered_is_altered(case: Case, change: Line) -> None:
    lines = case.answer(5)
    verdict = case.judge([*lines[:4], {**lines[4], **change}])
    assert found(verdict) == {"altered": 1}
    assert not verdict.kept


@pytest.mark.parametrize(
    "stranger",
    [
        {**line_of(4), "features": dict.fromkeys(SCHEMA.names, 0.5)},
        {**line_of(4), "features": {}},
        line_of(77, seq=4),
        {**line_of(4), "seq": 10**15},
        b"{}",
        b"\xff",
        b"",
    ],
    ids=["other features", "none", "never sent", "seq", "no event", "no text", "empty"],
)
def test_a_line_that_nobody_sent_is_foreign(case: Case, stranger: Line | bytes) -> None:
    lines = case.answer(5)
    verdict = case.judge([*lines[:4], stranger])
    assert found(verdict) == {"foreign": 1, "lost": 1}
    assert not verdict.kept


def test_a_request_that_is_there_under_another_id_than_was_answered_is_foreign_and_lost(case: Case) -> None:
    lines = case.answer(5)
    verdict = case.judge([*lines[:4], {**lines[4], "request_id": str(uuid.uuid4())}])
    assert found(verdict) == {"foreign": 1, "lost": 1}


def test_an_unknown_request_may_be_in_the_log_or_not(case: Case) -> None:
    lines = case.answer(3)
    there, _ = case.history.next_number(), case.history.next_number()
    verdict = case.judge([*lines, line_of(there)])
    assert verdict.kept, verdict
    assert (verdict.unknown, verdict.unknown_logged) == (2, 1)


def test_but_not_twice_and_not_with_another_score(case: Case) -> None:
    lines = case.answer(3)
    first, second, _ = (case.history.next_number() for _ in range(3))
    verdict = case.judge(
        [
            *lines,
            line_of(first),
            line_of(first, seq=4),
            {**line_of(second, seq=5), "probability": 0.5},
        ]
    )
    assert found(verdict) == {"doubled": 1, "altered": 1}


def test_an_unknown_request_under_an_id_that_was_answered_is_doubled(case: Case) -> None:
    lines = case.answer(3)
    unknown = case.history.next_number()
    verdict = case.judge([*lines, {**line_of(unknown), "request_id": lines[0]["request_id"]}])
    assert found(verdict) == {"doubled": 1}


def test_what_was_refused_may_be_there_and_is_counted(case: Case) -> None:
    lines = case.answer(2)
    for status in (503, 503, 429):
        case.history.refused(case.history.next_number(), status)
    verdict = case.judge([*lines, line_of(2)])
    assert verdict.kept, verdict
    assert verdict.refused == {429: 1, 503: 2}
    assert verdict.refused_logged == 1


def test_a_response_that_is_none_of_ours_is_not_as_it_should_be(case: Case) -> None:
    lines = case.answer(2)
    case.history.garbled(case.history.next_number())
    assert not case.judge([*lines]).kept


def test_a_line_behind_what_is_committed_is_a_problem(case: Case) -> None:
    lines = case.answer(3)
    case.history.next_number()
    assert case.judge([*lines]).kept
    with (case.log_dir / "predictions.jsonl").open("a") as file:
        file.write(json.dumps(line_of(3)) + "\n")
    verdict = case.again()
    assert found(verdict) == {}
    assert not verdict.kept
    assert any("3 lines are committed, and 4 are in the files" in problem for problem in verdict.problems)


def test_a_line_that_was_cut_out_is_lost_and_the_log_cannot_be_read(case: Case) -> None:
    assert case.judge([*case.answer(3)]).kept
    path = case.log_dir / "segments" / "00000001.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    verdict = case.again()
    assert found(verdict) == {"lost": 1}
    assert any("shorter than what was committed" in problem for problem in verdict.problems)


def test_a_ledger_that_misses_something_is_a_problem(case: Case) -> None:
    lines = case.answer(3)
    case.outbox_dir.mkdir()
    (case.outbox_dir / "closed").write_text(f"{PRODUCER} 5\n")
    verdict = case.judge([*lines])
    assert found(verdict) == {}
    assert verdict.problems == ["the ledger says missing 2"]
    assert not verdict.kept


def test_a_run_in_which_nothing_was_answered_has_nothing_to_keep(case: Case) -> None:
    case.history.next_number()
    verdict = case.again()
    assert verdict.kept
    assert verdict.unknown == 1
