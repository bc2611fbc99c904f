"""Feedback is kept by the promise of predictions: what got a 200 is in the outbox, synced where that is asked for."""

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from driftline.api.feedback import FeedbackTaker
from driftline.contract import FeedbackEvent
from driftline.contract.checksum import vouched
from driftline.contract.feedback import MAX_ITEMS, Outcomes
from driftline.contract.package import seed_schema
from driftline.contract.problems import PROBLEM_TYPE, Answer
from driftline.outbox import outbox as outbox_module
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from tests.api.api_process import ApiProcess
from tests.api.conftest import StartApi

REQUEST_ID = "01a20a66-e670-7344-9870-4be447a1cfe3"
NOW_NS = 1_800_000_000_123_456_789
ONE = {"request_id": REQUEST_ID, "outcome": 1, "at": "2026-11-23T21:00:00Z"}
MAX_BODY_BYTES = 100_000
OUTCOMES = Outcomes.of([seed_schema()])


@pytest.fixture
def root(tmp_path: Path) -> OutboxRoot:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    return root


def taker(outbox: Outbox, *, durable: bool = False, outcomes: Outcomes = OUTCOMES) -> FeedbackTaker:
    return FeedbackTaker(outbox, lambda: outcomes, durable=durable, max_body_bytes=MAX_BODY_BYTES, clock=lambda: NOW_NS)


def tell(take: FeedbackTaker, body: Any, **headers: str) -> Answer:
    async def call() -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await take({name.replace("_", "-"): value for name, value in headers.items()}, content)

    return asyncio.run(call())


def lines(outbox: Outbox) -> list[bytes]:
    reader = OutboxReader(outbox.root, outbox.producer)
    reader.seek(0)
    events: list[bytes] = []
    while chunk := reader.read(1000, 1 << 20).events:
        events += chunk
    reader.close()
    return events


def test_an_outcome_is_in_the_outbox_when_it_is_answered(root: OutboxRoot) -> None:
    outbox = Outbox(root)
    answer = tell(taker(outbox), ONE, content_type="application/json")
    assert answer == (200, (("content-type", "application/json"),), b'{"accepted":1}')
    [line] = lines(outbox)
    assert vouched(line)
    assert json.loads(line) == {
        "request_id": REQUEST_ID,
        "outcome": 1,
        "at": "2026-11-23T21:00:00.000000Z",
        "timestamp": "2027-01-15T08:00:00.123456Z",
        "schema_version": 1,
        "kind": "feedback",
        "producer": outbox.producer,
        "seq": 0,
        "crc32": line[-10:-2].decode(),
    }
    assert list(FeedbackEvent.model_validate_json(line).model_dump()) == list(json.loads(line))


def test_a_batch_is_one_event_for_each_item_over_as_many_segments_as_it_takes(root: OutboxRoot) -> None:
    outbox = Outbox(root, segment_max_bytes=1000)
    answer = tell(taker(outbox), {"feedback": [{**ONE, "outcome": number % 2} for number in range(50)]})
    assert (answer.status, json.loads(answer.body)) == (200, {"accepted": 50})
    events = [json.loads(line) for line in lines(outbox)]
    assert [event["outcome"] for event in events] == [0, 1] * 25
    assert [event["seq"] for event in events] == list(range(50))


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"content_type": "text/plain"}, ONE, 415, "unsupported_media_type"),
        ({}, json.dumps(ONE).encode().ljust(MAX_BODY_BYTES + 1), 413, "body_too_large"),
        ({}, b"{", 400, "malformed_json"),
        ({}, {"feedback": [ONE, {**ONE, "outcome": 2}]}, 422, "wrong_value"),
        ({}, {"feedback": [ONE] * (MAX_ITEMS + 1)}, 422, "wrong_value"),
    ],
)
def test_what_is_refused_is_refused_whole(
    root: OutboxRoot, headers: dict[str, str], body: Any, status: int, code: str
) -> None:
    outbox = Outbox(root)
    answer = tell(taker(outbox), body, **headers)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    assert dict(answer.headers)["content-type"] == PROBLEM_TYPE
    assert not outbox.started


def test_a_wrong_item_is_named_by_its_index(root: OutboxRoot) -> None:
    answer = tell(taker(Outbox(root)), {"feedback": [ONE, ONE, {"outcome": 1}]})
    [error] = json.loads(answer.body)["errors"]
    assert (error["path"], error["code"]) == ("/feedback/2/request_id", "missing_field")


def test_a_full_outbox_says_so_and_the_same_batch_is_taken_when_there_is_room(root: OutboxRoot) -> None:
    outbox = Outbox(root, max_bytes=2000, segment_max_bytes=500)
    batch = {"feedback": [ONE] * 5}
    answers = [tell(taker(outbox), batch) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 503]
    assert json.loads(answers[1].body)["code"] == "outbox_full"
    assert int(dict(answers[1].headers)["retry-after"]) > 0
    outbox.release(outbox.next_seq)
    assert tell(taker(outbox), batch).status == 200


def test_a_durable_answer_waits_for_the_one_sync_of_its_batch(
    root: OutboxRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(root, sync="always", segment_max_bytes=1000)
    synced: list[int] = []
    monkeypatch.setattr(outbox_module, "sync_content", lambda _fd: synced.append(outbox.next_seq))
    assert tell(taker(outbox, durable=True), {"feedback": [ONE] * 20}).status == 200
    assert set(synced) == {20}


def test_a_sync_that_fails_is_no_200(root: OutboxRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(root, sync="always")

    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(outbox_module, "sync_content", fail)
    answer = tell(taker(outbox, durable=True), ONE)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "outbox_unavailable")


def test_it_is_served_beside_predictions_and_counted_with_them(start_api: StartApi) -> None:
    api = start_api()
    request_id = api.predict().json()["request_id"]
    assert api.client.post(
        "/feedback", json={"feedback": [{"request_id": request_id, "outcome": True}] * 3}
    ).json() == {"accepted": 3}
    assert api.client.post("/feedback", json={"request_id": request_id, "outcome": 7}).status_code == 422
    assert [(event["kind"], event["request_id"], event["seq"]) for event in api.events()] == [
        ("prediction", request_id, 0),
        *(("feedback", request_id, seq) for seq in (1, 2, 3)),
    ]
    samples = api.metrics()
    assert samples["driftline_events_accepted_total"] == 4
    assert samples['driftline_events_refused_total{reason="wrong_value"}'] == 1
    assert samples['driftline_requests_total{route="/feedback",status="200"}'] == 1
    assert samples['driftline_requests_total{route="/feedback",status="422"}'] == 1
    assert samples["driftline_request_duration_seconds_count"] == 1, "only predictions are timed"


def test_the_largest_batch_fits_the_largest_body_unless_that_was_made_smaller(api: ApiProcess) -> None:
    response = api.client.post("/feedback", json={"feedback": [ONE] * MAX_ITEMS})
    assert response.json() == {"accepted": MAX_ITEMS}
