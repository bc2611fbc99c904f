"""Many rows in one request: the same answers and events as one by one, all of them or none."""

import asyncio
import json
import math
import os
import signal
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.api.keeper import Asked, Keeper, Origin
from driftline.api.served import SLICE_VALUES, Served
from driftline.contract.checksum import vouched, with_checksum
from driftline.contract.event import encode, timestamp
from driftline.contract.package import Package
from driftline.contract.problems import InvalidFieldsError
from driftline.contract.request_ids import RequestIds
from driftline.contract.schema import Feature, ModelSchema, Row
from driftline.errors import OutboxFullError
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from tests.api.api_process import EXAMPLE, ApiProcess
from tests.api.conftest import StartApi
from tests.api.models import seed
from tests.waiting import wait_until

NOW_NS = 1_800_000_000_123_456_789
LINES = "application/x-ndjson"
ROWS = [{"feature_1": at / 7, "feature_2": -at / 3} for at in range(20)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    process = ApiProcess(tmp_path_factory.mktemp("batch"), max_batch_rows=20, max_batch_bytes=100_000)
    process.wait_until_up()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.log()


def post(
    server: ApiProcess,
    body: bytes,
    content_type: str = "application/json",
    path: str = "/predict/batch",
    **headers: str,
) -> httpx.Response:
    return server.client.post(path, content=body, headers={"content-type": content_type, **headers})


def as_lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def from_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


# -- over HTTP


@pytest.mark.parametrize(
    "path", ["/predict/batch", "/models/seed/predict/batch", "/models/seed/versions/1/predict/batch"]
)
def test_rows_are_answered_as_they_are_one_by_one_and_each_is_logged(server: ApiProcess, path: str) -> None:
    answer = post(server, json.dumps(ROWS).encode(), path=path, **{"x-request-id": "nightly"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "driftline-logged" not in answer.headers
    told = answer.json()
    events = {event["request_id"]: event for event in server.events()}
    assert len({each["request_id"] for each in told}) == len(ROWS)
    for row, each in zip(ROWS, told, strict=True):
        single = server.predict(json.dumps(row).encode()).json()
        assert {**each, "request_id": None} == {**single, "request_id": None}
        event = events[each["request_id"]]
        assert {**each, "features": row, "client_request_id": "nightly"}.items() <= event.items()


def test_lines_are_answered_in_lines(server: ApiProcess) -> None:
    for content_type in (LINES, "application/jsonl"):
        answer = post(server, as_lines(ROWS), content_type)
        assert answer.headers["content-type"] == content_type
        assert len(from_lines(answer.text)) == len(ROWS)
        assert answer.text.endswith("\n")


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("application/json", "application/json"),
        (f"application/json;q=0.5, {LINES}", LINES),
        ("*/*", LINES),
        ("text/html", LINES),
        ("application/json;q=0, application/*;q=0.1", LINES),
    ],
)
def test_the_answer_comes_in_the_form_that_is_asked_for(server: ApiProcess, accept: str, told: str) -> None:
    answer = post(server, as_lines(ROWS), LINES, accept=accept)
    assert answer.headers["content-type"] == told


def test_a_wrong_row_refuses_the_batch_and_none_is_kept(server: ApiProcess) -> None:
    before = len(server.events())
    answer = post(server, json.dumps([*ROWS[:3], {**ROWS[3], "feature_2": "x"}, *ROWS[4:]]).encode())
    assert answer.status_code == 422
    assert [(each["path"], each["code"]) for each in answer.json()["errors"]] == [("/3/feature_2", "wrong_type")]
    assert len(server.events()) == before


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"[]", "application/json", 422, "empty_batch"),
        (b"", LINES, 422, "empty_body"),
        (json.dumps([*ROWS, ROWS[0]]).encode(), "application/json", 413, "too_many_rows"),
        (as_lines([*ROWS, ROWS[0]]), LINES, 413, "too_many_rows"),
        (b" " * 100_001, "application/json", 413, "body_too_large"),
        (b"[]", "text/csv", 415, "unsupported_media_type"),
        (b"[", "application/json", 400, "malformed_json"),
        (b"x" * 70_000, LINES, 400, "malformed_json"),
        (EXAMPLE, "application/json", 422, "not_an_array"),
    ],
)
def test_what_is_no_batch_is_refused(
    server: ApiProcess, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = post(server, body, content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_compressed_body_is_refused(server: ApiProcess) -> None:
    assert post(server, b"[]", **{"content-encoding": "gzip"}).status_code == 415


def test_a_model_that_is_not_served_is_not_found(server: ApiProcess) -> None:
    assert post(server, b"[]", path="/models/sead/predict/batch").json()["code"] == "model_not_found"


def test_batches_have_a_label_of_their_own(server: ApiProcess) -> None:
    name = 'driftline_requests_total{route="/predict/batch",status="200"}'
    before, accepted = server.metrics().get(name, 0), server.metrics()["driftline_events_accepted_total"]
    post(server, json.dumps(ROWS).encode())
    assert server.metrics()[name] == before + 1
    assert server.metrics()["driftline_events_accepted_total"] == accepted + len(ROWS)


def test_what_was_answered_is_in_the_log_after_kill_9(start_api: StartApi) -> None:
    api = start_api()
    body = json.dumps([{"feature_1": at, "feature_2": 0} for at in range(2000)]).encode()
    answered: list[str] = []

    def ask() -> None:
        with httpx.Client(timeout=10) as client:
            while True:
                try:
                    answer = client.post(f"http://127.0.0.1:{api.port}/predict/batch", content=body)
                except httpx.TransportError:
                    return
                answered.extend(each["request_id"] for each in answer.json())

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    wait_until(lambda: len(answered) >= 20_000)
    for pid in [*api.workers(), api.process.pid]:
        os.kill(pid, signal.SIGKILL)
    for thread in asking:
        thread.join()
    logged = [event["request_id"] for event in api.events()]
    assert len(logged) == len(set(logged))
    assert set(answered) <= set(logged)


# -- in process


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    return Outbox(root, segment_max_bytes=1 << 30)


def lines(outbox: Outbox) -> list[bytes]:
    reader = OutboxReader(outbox.root, outbox.producer)
    reader.seek(0)
    events = list[bytes]()
    while chunk := reader.read(10_000, 1 << 24).events:
        events += chunk
    reader.close()
    return events


def keeper_of(outbox: Outbox, *, serve_unlogged: bool = False) -> Keeper:
    ids = iter(range(10**9))
    return Keeper(
        outbox,
        durable=False,
        serve_unlogged=serve_unlogged,
        clock=lambda: NOW_NS,
        make_id=lambda: f"id-{next(ids)}",
        make_ids=lambda count, _: RequestIds([b'"id-%d"' % each for each in islice(ids, count)]),
    )


class Constant:
    """A model that gives the same for whatever row."""

    def __init__(self, score: Any) -> None:
        self._score = score

    def score(self, rows: Any) -> list[Any]:
        return [self._score] * len(rows)

    def score_row(self, row: Row) -> Any:
        return self._score


class Odd(Constant):
    """Has no score for rows that begin with 1."""

    def __init__(self) -> None:
        super().__init__(0.5)

    def score(self, rows: Any) -> list[Any]:
        return [math.nan if row[0] == 1 else 0.5 for row in rows]


TEXTS = Feature(name="täxt", type="category", nullable=True)
NUMBER = Feature(name="number", type="float", nullable=True)
OUTPUTS: list[tuple[dict[str, Any], Any]] = [
    ({"output": "binary"}, 0.25),
    ({"output": "binary", "labels": ("ja", "nein")}, 0.75),
    ({"output": "multiclass", "labels": (1, 2, 3)}, (0.1, 0.7, 0.2)),
    ({"output": "regression"}, -1e300),
]


@given(
    st.sampled_from(OUTPUTS),
    st.sampled_from(["keep", "hash", "drop"]),
    st.lists(st.tuples(st.none() | st.text(max_size=9), st.none() | st.floats(-1e9, 1e9)), min_size=1, max_size=4),
    st.sampled_from([Origin(), Origin("a" * 32, "00-x", 'quo"te')]),
)
def test_the_lines_of_a_batch_are_those_of_its_rows_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, output: Any, log: Any, rows: list[tuple[Any, Any]], origin: Origin
) -> None:
    declared, score = output
    schema = ModelSchema(name="m", version="ü", features=(TEXTS, msgspec.structs.replace(NUMBER, log=log)), **declared)
    served = Served(Package(Path(), schema, {}, None, None, None, 0.0), Constant(score))
    scored = served.score_all([served.decoder.make(*row) for row in rows])
    found = []
    for together in (True, False):
        root = OutboxRoot(tmp_path_factory.mktemp("outbox"))
        root.create()
        outbox = Outbox(root)
        outbox.producer = "p"
        keeper = keeper_of(outbox)

        async def keep(keeper: Keeper = keeper, together: bool = together) -> None:
            if together:
                assert len((await keeper.keep_all(served, scored, origin)).request_ids) == len(rows)
            else:
                for each in scored:
                    await keeper.keep(Asked(served, each, origin))

        asyncio.run(keep())
        found.append(lines(outbox))
    assert found[0] == found[1]
    assert all(map(vouched, found[0]))


def test_a_long_batch_has_the_lines_of_its_rows_too(outbox: Outbox) -> None:
    served, at = seed(Constant(0.25)), timestamp(NOW_NS)
    rows = [served.decoder.make(number / 7, float(number)) for number in range(1000)]

    async def keep() -> list[str]:
        return list((await keeper_of(outbox).keep_all(served, await served.score_many(rows), Origin())).request_ids)

    ids, schema = asyncio.run(keep()), served.schema
    ends = (schema.name, schema.version, None, None, None)
    assert lines(outbox) == [
        with_checksum(
            encode(served.outputs.event(ids[seq], row, 0.25, 0, at, 1, "prediction", outbox.producer, seq, *ends))
        )
        for seq, row in enumerate(rows)
    ]


@pytest.mark.parametrize("at", [0, SLICE_VALUES // 2, SLICE_VALUES // 2 + 3])
def test_a_row_without_a_score_is_named(at: int) -> None:
    served = seed(Odd())
    rows = [served.decoder.make(float(index == at), 2.0) for index in range(at + 2)]
    with pytest.raises(InvalidFieldsError) as caught:
        asyncio.run(served.score_many(rows))
    assert [(each.path, each.code) for each in caught.value.errors] == [((at,), "score_not_finite")]


def test_others_get_their_turn_while_a_wide_batch_is_scored_and_kept(outbox: Outbox) -> None:
    features = tuple(Feature(name=f"f{at}", type="float") for at in range(200))
    schema = ModelSchema(name="wide", version="1", output="regression", features=features)
    served = Served(Package(Path(), schema, {}, None, None, None, 0.0), Constant(1.0))
    rows = [served.decoder.make(*(0.5,) * 200)] * (4 * SLICE_VALUES // 200)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        counting = asyncio.create_task(count())
        kept = await keeper_of(outbox).keep_all(served, await served.score_many(rows), Origin())
        assert len(kept.request_ids) == len(rows)
        counting.cancel()

    asyncio.run(main())
    assert turns >= 6
    assert [json.loads(line)["seq"] for line in lines(outbox)] == list(range(len(rows)))


def test_events_of_others_may_come_between_and_no_seq_is_used_twice(outbox: Outbox) -> None:
    served = seed()
    scored = served.score_all([served.decoder.make(1.0, 2.0)] * (2 * SLICE_VALUES // 2))
    keeper = keeper_of(outbox)

    async def main() -> None:
        batch = asyncio.create_task(keeper.keep_all(served, scored, Origin()))
        await asyncio.sleep(0)
        await keeper.keep(Asked(served, scored[0], Origin()))
        assert outbox.next_seq == 1, "the batch is in slices, and the single one is in between"
        await batch

    asyncio.run(main())
    assert [json.loads(line)["seq"] for line in lines(outbox)] == list(range(len(scored) + 1))


def test_a_batch_that_finds_no_room_is_refused_whole_and_single_ones_are_taken(tmp_path: Path) -> None:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    outbox = Outbox(root, max_bytes=100_000)
    served = seed()
    scored = served.score_all([served.decoder.make(1.0, 2.0)] * 1000)

    async def main() -> None:
        with pytest.raises(OutboxFullError):
            await keeper_of(outbox).keep_all(served, scored, Origin())
        assert outbox.next_seq == 0
        await keeper_of(outbox).keep(Asked(served, scored[0], Origin()))
        kept = await keeper_of(outbox, serve_unlogged=True).keep_all(served, scored, Origin())
        assert not kept.logged
        assert len(kept.request_ids) == 1000
        await keeper_of(outbox).keep(Asked(served, scored[0], Origin()))

    asyncio.run(main())
    assert len(lines(outbox)) == 2
