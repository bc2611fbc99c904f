"""What the load test concludes from its answers and the log."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from claim import Run, Verdict, WrongAnswerError, checked_id, judge, row_count
from driftline.eventlog.writer import LogWriter
from inputs import probability_of

FEATURES = {"feature_1": 1.5, "feature_2": -0.7}
PROBABILITY = probability_of(FEATURES)
RIGHT_FIELDS = {"request_id": "a", "probability": PROBABILITY, "predicted_class": 1}
RIGHT = json.dumps(RIGHT_FIELDS).encode()


class Log:
    """A real log, written by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._writer = LogWriter(directory)
        assert self._writer.try_open()
        self._seq = 0

    def add(self, request_id: str, mark: str | None = None, kind: str = "prediction") -> None:
        self._append({"request_id": request_id, "client_request_id": mark, "kind": kind})

    def tell(self, request_id: str) -> None:
        self._append({"request_id": request_id, "outcome": 1, "kind": "feedback"})

    def _append(self, members: dict[str, object]) -> None:
        event = {**members, "producer": "p", "seq": self._seq}
        self._seq += 1
        self._writer.append(json.dumps(event).encode() + b"\n", 1, {"p": self._seq})

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "logs")
    yield log
    log.close()


def answered(run: Run, *request_ids: str) -> list[str]:
    """Has the run be answered with these ids; returns the marks of the requests."""
    run.answered.extend(request_ids)
    return [run.mark() for _ in request_ids]


def verdict_on(
    run: Run, log_dir: Path | None, start_row: int = 0, deadline_s: float = 0.1, settle_s: float = 0.05
) -> Verdict:
    return judge(run, log_dir, start_row=start_row, deadline_s=deadline_s, settle_s=settle_s)


def test_it_holds_when_every_answer_is_in_the_log_once(log: Log) -> None:
    run = Run()
    for request_id, mark in zip("abc", answered(run, "a", "b", "c"), strict=True):
        log.add(request_id, mark)

    verdict = verdict_on(run, log.directory)

    assert (verdict.outcome, verdict.reasons) == ("holds", ())
    assert (verdict.answers, verdict.lines) == (3, 3)


def test_an_outcome_is_no_second_line_of_its_prediction(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    run.told.add("a")
    log.tell("a")
    log.add("a", mark)
    log.tell("a")
    log.tell("another's")

    verdict = verdict_on(run, log.directory)

    assert (verdict.outcome, verdict.reasons) == ("holds", ())
    assert (verdict.lines, verdict.outcomes) == (1, 1)


def test_what_a_challenger_scored_is_no_second_line_and_not_the_first_one(log: Log) -> None:
    run = Run()
    marks = answered(run, "a", "b")
    log.add("a", marks[0])
    for request_id, mark in zip("ab", marks, strict=True):
        log.add(request_id, mark, kind="shadow")

    verdict = verdict_on(run, log.directory)

    assert (verdict.outcome, verdict.lines, verdict.lost) == ("broken", 1, ("b",))


def test_an_outcome_that_was_taken_and_is_not_in_the_log_breaks_it(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    run.told.add("a")
    log.add("a", mark)

    verdict = verdict_on(run, log.directory)

    assert (verdict.outcome, verdict.forgotten) == ("broken", ("a",))


def test_an_outcome_that_was_not_taken_breaks_it(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    run.untaken = 1
    log.add("a", mark)

    assert verdict_on(run, log.directory).reasons == ("1 outcomes were not taken",)


def test_an_answer_that_says_it_was_not_kept_may_be_in_the_log_or_not(log: Log) -> None:
    run = Run()
    marks = [run.mark() for _ in range(3)]
    run.take("a", {})
    run.take("b", {"Driftline-Logged": "no"})
    run.take("c", {"Driftline-Logged": "no"})
    log.add("a", marks[0])
    log.add("c", marks[2])

    verdict = verdict_on(run, log.directory)

    assert (verdict.outcome, verdict.answers, verdict.unlogged, verdict.cut) == ("holds", 1, 2, 0)


def test_an_answer_that_is_not_in_the_log_breaks_it(log: Log) -> None:
    run = Run()
    marks = answered(run, "a", "b")
    log.add("a", marks[0])

    verdict = verdict_on(run, log.directory)

    assert verdict.outcome == "broken"
    assert verdict.lost == ("b",)


def test_an_answer_that_is_in_the_log_twice_breaks_it(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    log.add("a", mark)
    log.add("a", mark)

    verdict = verdict_on(run, log.directory)

    assert verdict.outcome == "broken"
    assert verdict.repeated == ("a",)


def test_a_second_line_that_comes_late_breaks_it_too(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    log.add("a", mark)
    late = threading.Timer(0.3, log.add, ("a", mark))
    late.start()

    verdict = verdict_on(run, log.directory, settle_s=2)
    late.join()

    assert verdict.repeated == ("a",)


def test_a_line_of_this_run_that_nobody_was_answered_breaks_it(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    log.add("a", mark)
    log.add("b", mark)

    verdict = verdict_on(run, log.directory)

    assert verdict.outcome == "broken"
    assert verdict.unasked == ("b",)


def test_a_request_that_was_cut_off_may_be_in_the_log(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    log.add("a", mark)
    log.add("b", run.mark())

    verdict = verdict_on(run, log.directory)

    assert verdict.outcome == "holds"
    assert verdict.cut == 1


def test_lines_of_other_clients_and_of_earlier_runs_are_not_counted(log: Log) -> None:
    log.add("a", "earlier-1")
    run = Run()
    start_row = row_count(log.directory)
    (mark,) = answered(run, "a")
    log.add("someone else's")
    log.add("a", mark)

    verdict = verdict_on(run, log.directory, start_row)

    assert (verdict.outcome, verdict.lines) == ("holds", 1)


def test_a_log_that_is_late_is_waited_for(log: Log) -> None:
    run = Run()
    (mark,) = answered(run, "a")
    late = threading.Timer(0.5, log.add, ("a", mark))
    late.start()

    verdict = verdict_on(run, log.directory, deadline_s=20)
    late.join()

    assert verdict.outcome == "holds"


def test_a_log_that_is_born_during_the_wait_is_read(tmp_path: Path) -> None:
    run = Run()
    (mark,) = answered(run, "a")

    def write() -> None:
        log = Log(tmp_path / "logs")
        log.add("a", mark)
        log.close()

    late = threading.Timer(0.5, write)
    late.start()
    verdict = verdict_on(run, tmp_path / "logs", deadline_s=20)
    late.join()

    assert verdict.outcome == "holds"


def test_no_log_at_all_breaks_it_and_says_what_to_give(tmp_path: Path) -> None:
    run = Run()
    answered(run, "a")

    verdict = verdict_on(run, tmp_path / "logs")

    assert verdict.outcome == "broken"
    assert "--data" in verdict.reasons[-1]


def test_a_log_that_cannot_be_seen_is_never_called_checked() -> None:
    run = Run()
    answered(run, "a")

    assert verdict_on(run, None).outcome == "not checked"


def test_without_a_log_a_failure_still_breaks_it() -> None:
    run = Run(failed=1)
    answered(run, "a")

    assert verdict_on(run, None).outcome == "broken"


def test_a_failed_request_breaks_it_even_if_the_log_is_right(log: Log) -> None:
    run = Run(failed=1)
    (mark,) = answered(run, "a")
    log.add("a", mark)

    assert verdict_on(run, log.directory).outcome == "broken"


def test_an_id_that_was_given_to_two_requests_breaks_it(log: Log) -> None:
    run = Run()
    (mark, _) = answered(run, "a", "a")
    log.add("a", mark)

    assert verdict_on(run, log.directory).outcome == "broken"


def test_a_run_without_answers_proves_nothing(log: Log) -> None:
    assert verdict_on(Run(), log.directory).outcome == "broken"


def test_a_right_answer_gives_its_id() -> None:
    assert checked_id(200, RIGHT, FEATURES) == "a"


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_id": ""},
        {"request_id": 7},
        {"probability": 1.5},
        {"probability": "0.76"},
        {"probability": PROBABILITY + 1e-11},
        {"predicted_class": 0},
        {"predicted_class": None},
    ],
    ids=str,
)
def test_an_answer_with_one_thing_wrong_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(WrongAnswerError):
        checked_id(200, json.dumps(RIGHT_FIELDS | wrong).encode(), FEATURES)


@pytest.mark.parametrize(("status", "content"), [(503, b"{}"), (0, None), (201, RIGHT), (200, b"<html>"), (200, b"[]")])
def test_what_is_not_a_prediction_is_refused(status: int, content: bytes | None) -> None:
    with pytest.raises(WrongAnswerError):
        checked_id(status, content, FEATURES)
