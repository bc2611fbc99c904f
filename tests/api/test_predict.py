import asyncio
import json
import math
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from driftline.api.keeper import Keeper
from driftline.api.predict import Predictor
from driftline.contract import PredictionEvent
from driftline.contract.checksum import vouched
from driftline.contract.problems import PROBLEM_TYPE, Answer
from driftline.contract.schema import Row
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.scoring import Model, load_package, seed_package
from driftline.scoring.linear import WeightedSum
from driftline.scoring.logistic import LogisticModel
from tests.api.models import seed, seed_roster

SCHEMA, MODEL = load_package(seed_package())
A, B = SCHEMA.names
BODY = json.dumps(SCHEMA.example).encode()
NOW_NS = 1_800_000_000_123_456_789
REQUEST_ID = "01a20a66-e670-7344-9870-4be447a1cfe3"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MAX_BODY_BYTES = 1000


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    return Outbox(root)


def predictor(
    outbox: Outbox, model: Model = MODEL, *, durable: bool = False, serve_unlogged: bool = False
) -> Predictor:
    served = seed(model)
    keeper = Keeper(
        outbox, durable=durable, serve_unlogged=serve_unlogged, clock=lambda: NOW_NS, make_id=lambda: REQUEST_ID
    )
    return Predictor(lambda: served, keeper, max_body_bytes=MAX_BODY_BYTES)


def ask(predict: Predictor, body: bytes = BODY, **headers: str) -> Answer:
    async def call() -> Answer:
        return await predict({name.replace("_", "-"): value for name, value in headers.items()}, body)

    return asyncio.run(call())


def lines(outbox: Outbox) -> list[bytes]:
    reader = OutboxReader(outbox.root, outbox.producer)
    reader.seek(0)
    events = list(reader.read(1000, 1 << 20).events)
    reader.close()
    return events


def test_the_answer_is_the_seeds_to_the_byte(outbox: Outbox) -> None:
    answer = ask(predictor(outbox), content_type="application/json")
    assert answer == (
        200,
        (("content-type", "application/json"),),
        b'{"request_id":"%s","probability":0.7649478037637648,"predicted_class":1}' % REQUEST_ID.encode(),
    )


def test_the_event_is_in_the_outbox_when_the_answer_is_given(outbox: Outbox) -> None:
    ask(predictor(outbox), traceparent=TRACEPARENT, x_request_id="order-4711")
    [line] = lines(outbox)
    assert vouched(line)
    assert json.loads(line) == {
        "request_id": REQUEST_ID,
        "features": SCHEMA.example,
        "probability": 0.7649478037637648,
        "predicted_class": 1,
        "timestamp": "2027-01-15T08:00:00.123456Z",
        "schema_version": 1,
        "kind": "prediction",
        "producer": outbox.producer,
        "seq": 0,
        "model": "seed",
        "model_version": "1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "traceparent": TRACEPARENT,
        "client_request_id": "order-4711",
        "crc32": line[-10:-2].decode(),
    }
    PredictionEvent.model_validate_json(line)


def test_headers_that_are_missing_or_wrong_are_null_in_the_event(outbox: Outbox) -> None:
    predict = predictor(outbox)
    ask(predict)
    ask(predict, traceparent=TRACEPARENT.upper(), x_request_id="two words")
    for line in lines(outbox):
        event = json.loads(line)
        assert event["trace_id"] is event["traceparent"] is event["client_request_id"] is None


def test_events_are_numbered_by_the_outbox(outbox: Outbox) -> None:
    predict = predictor(outbox)
    for _ in range(3):
        ask(predict)
    assert [json.loads(line)["seq"] for line in lines(outbox)] == [0, 1, 2]


def test_each_request_gets_its_own_uuid7(outbox: Outbox) -> None:
    predict = Predictor(seed_roster().default, Keeper(outbox, durable=False), max_body_bytes=MAX_BODY_BYTES)
    ids = [uuid.UUID(json.loads(ask(predict).body)["request_id"]) for _ in range(50)]
    assert {each.version for each in ids} == {7}
    assert ids == sorted(set(ids))


def test_requests_that_come_at_once_are_scored_together_and_each_gets_its_own_row(outbox: Outbox) -> None:
    class Gaining:
        max_batch_size = 8
        batches: ClassVar[list[int]] = []

        def score(self, rows: Sequence[Row]) -> list[float]:
            self.batches.append(len(rows))
            return [self.score_row(row) for row in rows]

        def score_row(self, row: Row) -> float:
            return math.nan if row[0] == 3 else float(row[0]) / 10  # type: ignore[arg-type]

    served = seed(Gaining())
    predict = Predictor(lambda: served, Keeper(outbox, durable=False), max_body_bytes=MAX_BODY_BYTES)

    async def call() -> list[Answer]:
        bodies = [json.dumps({A: at, B: 0}).encode() for at in range(5)]
        return await asyncio.gather(*(predict({}, body) for body in bodies))

    answers = asyncio.run(call())
    assert Gaining.batches == [5]
    assert [answer.status for answer in answers] == [200, 200, 200, 422, 200]
    told = {
        each["request_id"]: each["probability"] for each in (json.loads(a.body) for a in answers if a.status == 200)
    }
    assert list(told.values()) == [0, 0.1, 0.2, 0.4]
    events = [json.loads(line) for line in lines(outbox)]
    assert {event["request_id"]: event["features"][A] / 10 for event in events} == told


def test_the_class_is_1_from_the_threshold_on(outbox: Outbox) -> None:
    half = LogisticModel(WeightedSum(0.0, [0.0, 0.0]))
    assert json.loads(ask(predictor(outbox, model=half)).body)["predicted_class"] == 1
    below = LogisticModel(WeightedSum(-1e-15, [0.0, 0.0]))
    assert json.loads(ask(predictor(outbox, model=below)).body)["predicted_class"] == 0


def test_a_model_that_has_no_score_refuses(outbox: Outbox) -> None:
    model = LogisticModel(WeightedSum(0.0, [1e308, -1e308]))
    assert math.isnan(model.score_row([1e308, 1e308]))
    answer = ask(predictor(outbox, model=model), f'{{"{A}": 1e308, "{B}": 1e308}}'.encode())
    assert (answer.status, json.loads(answer.body)["code"]) == (422, "score_not_finite")
    assert outbox.next_seq == 0


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"content_type": "text/plain"}, BODY, 415, "unsupported_media_type"),
        ({}, b" " * MAX_BODY_BYTES + BODY, 413, "body_too_large"),
        ({}, b"{", 400, "malformed_json"),
        ({}, b"{}", 422, "missing_field"),
        ({}, b"", 422, "empty_body"),
    ],
)
def test_what_is_refused_leaves_no_event(
    outbox: Outbox, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = ask(predictor(outbox), body, **headers)
    assert answer.status == status
    assert dict(answer.headers)["content-type"] == PROBLEM_TYPE
    assert json.loads(answer.body)["code"] == code
    assert outbox.next_seq == 0
    assert not outbox.started


def test_a_body_of_exactly_the_limit_is_taken(outbox: Outbox) -> None:
    assert ask(predictor(outbox), BODY.ljust(MAX_BODY_BYTES)).status == 200


def test_a_full_outbox_refuses_and_takes_again_when_there_is_room(outbox: Outbox) -> None:
    full = Outbox(outbox.root, max_bytes=1000, segment_max_bytes=400)
    predict = predictor(full)
    answers = [ask(predict) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 503, 503]
    assert json.loads(answers[-1].body)["code"] == "outbox_full"
    assert int(dict(answers[-1].headers)["retry-after"]) > 0
    full.release(2)
    assert ask(predict).status == 200
    assert full.next_seq == 3


def test_an_outbox_that_cannot_be_written_refuses(outbox: Outbox) -> None:
    outbox.root.path.rmdir()
    answer = ask(predictor(outbox))
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "outbox_unavailable")
    outbox.root.create()
    assert ask(predictor(outbox)).status == 200


def test_what_cannot_be_kept_may_be_answered_with_a_header_that_says_so(outbox: Outbox) -> None:
    full = Outbox(outbox.root, max_bytes=1000, segment_max_bytes=400)
    predict = predictor(full, serve_unlogged=True)
    answers = [ask(predict) for _ in range(4)]
    assert [dict(answer.headers).get("driftline-logged") for answer in answers] == [None, None, "no", "no"]
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert full.next_seq == 2
    full.release(2)
    assert "driftline-logged" not in dict(ask(predict).headers)
    assert full.next_seq == 3


def test_what_cannot_be_written_may_be_answered_too_and_wrong_input_is_still_refused(outbox: Outbox) -> None:
    outbox.root.path.rmdir()
    predict = predictor(outbox, serve_unlogged=True)
    answer = ask(predict)
    assert (answer.status, dict(answer.headers)["driftline-logged"]) == (200, "no")
    assert json.loads(answer.body)["predicted_class"] == 1
    assert ask(predict, b"{}").status == 422


def test_a_durable_answer_waits_for_the_sync_and_all_share_one(tmp_path: Path) -> None:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    outbox = Outbox(root, sync="always")
    predict = predictor(outbox, durable=True)

    async def answer_together() -> list[Answer]:
        answers = await asyncio.gather(*(predict({}, BODY) for _ in range(20)))
        await outbox.close()
        return answers

    assert {answer.status for answer in asyncio.run(answer_together())} == {200}
    assert len(lines(outbox)) == 20


def test_without_sync_the_decision_never_gives_up_the_loop(outbox: Outbox) -> None:
    call = predictor(outbox)({}, BODY)
    with pytest.raises(StopIteration) as returned:
        call.send(None)
    assert returned.value.value.status == 200
