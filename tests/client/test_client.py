"""The clients against real servers: what they give back, and what they do when one refuses, stops or dies."""

import asyncio
import inspect
import json
import math
import os
import re
import signal
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from driftline.api.keys import add_key
from driftline.client import (
    NEVER,
    AnswerError,
    AnswerLostError,
    AsyncClient,
    BinaryPrediction,
    BusyError,
    Client,
    ClientError,
    Health,
    KeyRefusedError,
    Model,
    MulticlassPrediction,
    Outcome,
    RefusedError,
    RegressionPrediction,
    Retry,
    UnreachableError,
)
from driftline.client.calls import MOST_OUTCOMES
from driftline.client.results import Record, read
from driftline.contract.feedback import MAX_ITEMS
from driftline.contract.package import seed_schema
from tests.api.api_process import ApiProcess
from tests.certificates import make_pair
from tests.client.conftest import StartApi
from tests.waiting import find_free_port

DOCS = Path(__file__).parents[2] / "docs"
FEATURES = seed_schema().example
PROBABILITY = 0.7649478037637648
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
QUICK = Retry(attempts=3, first_wait_s=0.01, longest_wait_s=0.02)


def url(api: ApiProcess, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{api.port}"


def event(api: ApiProcess, request_id: str, kind: str = "prediction") -> dict[str, Any]:
    [found] = [each for each in api.events() if (each["request_id"], each["kind"]) == (request_id, kind)]
    return found


def test_a_prediction_is_typed_and_in_the_log_with_what_came_with_it(api: ApiProcess) -> None:
    with Client(url(api)) as client:
        told = client.predict(FEATURES, client_request_id="order-1", traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-01")
        assert isinstance(told, BinaryPrediction)
        assert told == BinaryPrediction(told.request_id, PROBABILITY, 1, logged=True)
        kept = event(api, told.request_id)
        assert (kept["client_request_id"], kept["trace_id"]) == ("order-1", TRACE_ID)
        named = client.predict(FEATURES, model="seed", version="1")
        assert named[1:] == told[1:]
        with pytest.raises(ValueError, match="version"):
            client.predict(FEATURES, version="1")


def test_the_example_of_the_documentation_runs(api: ApiProcess, capsys: pytest.CaptureFixture[str]) -> None:
    [example] = re.findall(r"```python\n(.*?)```", (DOCS / "client.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(example.replace("http://127.0.0.1:8000", url(api)), {})
    predicted, probability, request_id = capsys.readouterr().out.split()
    assert (int(predicted), float(probability)) == (1, PROBABILITY)
    assert event(api, request_id, "feedback")["outcome"] == 1


def test_a_batch_has_a_prediction_for_each_row(api: ApiProcess) -> None:
    rows = [FEATURES, dict.fromkeys(FEATURES, 0.0)]
    with Client(url(api)) as client:
        both = client.predict_batch(rows)
        assert [each[1:] for each in both] == [client.predict(row)[1:] for row in rows]
        for told, row in zip(both, rows, strict=True):
            assert event(api, told.request_id)["features"] == row
        assert len(client.predict_batch(rows, model="seed")) == 2


def test_what_is_known_later_is_told_alone_or_in_any_number(api: ApiProcess) -> None:
    known_at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    with Client(url(api)) as client:
        ids = [client.predict(FEATURES).request_id for _ in range(3)]
        client.feedback(ids[0], 1, known_at)
        assert event(api, ids[0], "feedback")["at"] == "2026-11-24T09:30:00.000000Z"
        client.feedback_batch(Outcome(request_id, outcome=False) for request_id in ids[1:] * (MOST_OUTCOMES // 2 + 1))
        told = [each for each in api.events() if each["kind"] == "feedback" and each["request_id"] in ids[1:]]
        assert len(told) == MOST_OUTCOMES + 2
        with pytest.raises(ValueError, match="zone"):
            client.feedback(ids[0], 1, datetime(2026, 11, 24, 9, 30))  # noqa: DTZ001 (that is the point)


def test_as_many_outcomes_are_told_at_once_as_a_server_takes() -> None:
    assert MOST_OUTCOMES == MAX_ITEMS


def test_models_and_health_are_as_the_server_says(api: ApiProcess) -> None:
    with Client(url(api)) as client:
        [model] = client.models()
        assert model == Model("seed", default=True, output="binary", serving="1", versions=("1",))
        assert client.health() == Health(ready=True)


def test_the_asynchronous_client_does_the_same(api: ApiProcess) -> None:
    async def ask() -> None:
        async with AsyncClient(url(api)) as client:
            several = await asyncio.gather(*(client.predict(FEATURES) for _ in range(5)))
            assert len({told.request_id for told in several}) == 5
            assert [told[1:] for told in await client.predict_batch([FEATURES])] == [several[0][1:]]
            await client.feedback(several[0].request_id, 1)
            await client.feedback_batch([Outcome(several[1].request_id, 0)])
            assert [model.name for model in await client.models()] == ["seed"]
            assert await client.health() == Health(ready=True)
            with pytest.raises(RefusedError):
                await client.predict({})

    asyncio.run(ask())


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, str]:
        public = {name: each for name, each in vars(kind).items() if not name.startswith("_")}
        return {name: f"{inspect.signature(each)} {inspect.getdoc(each)}" for name, each in public.items()}

    assert methods(Client) == methods(AsyncClient)
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


def test_numbers_of_numpy_are_numbers_and_nan_is_refused_and_no_null(api: ApiProcess) -> None:
    with Client(url(api)) as client:
        first, second = FEATURES
        told = client.predict({first: np.float64(1.5), second: np.float32(-0.5)})
        assert event(api, told.request_id)["features"] == {first: 1.5, second: -0.5}
        with pytest.raises(RefusedError) as caught:
            client.predict({first: math.nan, second: np.int64(3)})
        assert caught.value.reason == "not_finite"
        with pytest.raises(TypeError, match="datetime"):
            client.predict({first: datetime.now(UTC), second: 1.0})


@pytest.mark.parametrize("value", ["secret\n", " secret", "secrèt", "sec\x7fret"])
def test_what_no_header_can_have_is_an_error_before_anything_is_sent_and_is_not_repeated(value: str) -> None:
    with pytest.raises(ValueError, match="the key has") as caught:
        Client("http://127.0.0.1:9", key=value)
    assert "sec" not in str(caught.value)
    with Client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="the x-request-id has"):
        client.predict({}, client_request_id=value)


def test_rows_where_one_is_wanted_and_one_where_rows_are_send_nothing(api: ApiProcess) -> None:
    before = len(api.events())
    with Client(url(api)) as client:
        with pytest.raises(ValueError, match="predict_batch"):
            client.predict([FEATURES])  # type: ignore[arg-type]  # that is the point
        with pytest.raises(ValueError, match="a single one is for predict"):
            client.predict_batch(FEATURES)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="row 1 is no mapping"):
            client.predict_batch([FEATURES, list(FEATURES)])  # type: ignore[list-item]

    async def ask() -> None:
        async with AsyncClient(url(api)) as client:
            with pytest.raises(ValueError, match="predict_batch"):
                await client.predict([FEATURES])  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="a single one is for predict"):
                await client.predict_batch(FEATURES)  # type: ignore[arg-type]

    asyncio.run(ask())
    assert len(api.events()) == before


def test_the_rows_of_a_batch_may_come_one_by_one(api: ApiProcess) -> None:
    with Client(url(api)) as client:
        assert len(client.predict_batch(FEATURES for _ in range(3))) == 3


@pytest.mark.parametrize("name", ["", ".", "..", "seed/versions/1", "\ud800"])
def test_a_name_that_would_be_another_path_is_an_error_before_anything_is_sent(name: str) -> None:
    with Client("http://127.0.0.1:9", retry=NEVER) as client:
        with pytest.raises(ValueError, match="model") as caught:
            client.predict(FEATURES, model=name)
        assert not isinstance(caught.value, UnicodeError)
        with pytest.raises(ValueError, match="version"):
            client.predict_batch([FEATURES], model="seed", version=name)


def test_half_of_a_surrogate_pair_is_an_error_before_anything_is_sent() -> None:
    with Client("http://127.0.0.1:9", retry=NEVER) as client:
        for ask in (lambda: client.predict({"feature_1": "\ud800"}), lambda: client.feedback("\ud800", 1)):
            with pytest.raises(ValueError, match="surrogate pair, which no JSON") as caught:
                ask()
            assert not isinstance(caught.value, UnicodeError)


def test_a_client_that_was_closed_says_so_and_asks_nobody() -> None:
    client = Client("http://127.0.0.1:9")
    client.close()
    for ask in (lambda: client.predict(FEATURES), client.models, client.health):
        with pytest.raises(ClientError, match="the client is closed") as caught:
            ask()
        assert type(caught.value) is ClientError

    async def ask_closed() -> None:
        closed = AsyncClient("http://127.0.0.1:9")
        await closed.close()
        with pytest.raises(ClientError, match="the client is closed"):
            await closed.predict(FEATURES)

    asyncio.run(ask_closed())


def test_a_refusal_says_what_is_wrong_with_each_field(api: ApiProcess) -> None:
    with Client(url(api)) as client, pytest.raises(RefusedError) as caught:
        client.predict({"feature_1": "x"})
    refused = caught.value
    assert (refused.reason, refused.status, refused.code) == ("wrong_type", 422, "refused")
    assert [(each["path"], each["code"]) for each in refused.errors] == [
        ("/feature_1", "wrong_type"),
        ("/feature_2", "missing_field"),
    ]
    assert "feature_2" in refused.message
    assert not isinstance(refused, BusyError)


def test_a_model_that_is_not_there_is_refused(api: ApiProcess) -> None:
    with Client(url(api)) as client, pytest.raises(RefusedError) as caught:
        client.predict(FEATURES, model="seed 2")
    assert (caught.value.status, caught.value.reason) == (404, "model_not_found")


def test_keys_and_certificates_are_those_that_the_client_was_given(start_api: StartApi, tmp_path: Path) -> None:
    pair, keys = make_pair(tmp_path / "tls"), tmp_path / "keys.toml"
    token = add_key(keys, "web", 1.0)
    api = start_api(tls=pair, keys=keys)
    trust = ssl.create_default_context(cafile=str(pair.certificate))
    for key, reason in ((None, "key_missing"), (token[:-1], "key_unknown")):
        with Client(url(api, "https"), key=key, tls=trust) as client, pytest.raises(KeyRefusedError) as caught:
            client.predict(FEATURES)
        assert caught.value.reason == reason
    with Client(url(api, "https"), key=token, retry=QUICK) as client, pytest.raises(UnreachableError, match="CERT"):
        client.predict(FEATURES)
    with Client(url(api, "https"), key=token, tls=trust) as client:
        for _ in range(2):  # the second is refused for a second, and asked again when the server says
            assert client.predict(FEATURES).logged
    assert [each["kind"] for each in api.events()] == ["prediction"] * 2
    assert api.log().count("Traceback") == 0
    with Client(url(api, "https"), key=token, tls=trust, retry=NEVER) as client, pytest.raises(BusyError) as busy:
        [client.predict(FEATURES) for _ in range(2)]
    assert (busy.value.reason, busy.value.retry_after_s) == ("rate_limited", 1.0)


def test_what_cannot_be_kept_is_asked_again_as_often_as_agreed(start_api: StartApi) -> None:
    full = {"outbox_max_bytes": 300, "outbox_segment_max_bytes": 300}
    api = start_api(**full)
    # The server wants five seconds; who would not wait for so long hears at once.
    for retry, attempts in ((QUICK, 1), (NEVER, 2)):
        with Client(url(api), retry=retry) as client, pytest.raises(BusyError) as caught:
            client.predict(FEATURES)
        assert (caught.value.reason, caught.value.status, caught.value.retry_after_s) == ("outbox_full", 503, 5.0)
        assert api.metrics()['driftline_requests_total{route="/predict",status="503"}'] == attempts
    with Client(url(api)) as client:
        assert client.health() == Health(ready=False, reason="outbox_full")
    unlogged = start_api(**full, outbox_full_policy="serve")
    with Client(url(unlogged)) as client:
        assert not client.predict(FEATURES).logged
        assert client.health() == Health(ready=True, reason="outbox_full")


def test_a_server_that_comes_back_is_found_and_nothing_is_asked_twice(start_api: StartApi) -> None:
    port = find_free_port()
    api = start_api(port=port)
    patient = Retry(attempts=600, first_wait_s=0.05, longest_wait_s=0.05)
    with Client(url(api), retry=patient) as client:
        client.predict(FEATURES)
        workers = api.workers()
        api.stop(signal.SIGKILL)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        with Client(url(api), retry=QUICK) as hasty, pytest.raises(UnreachableError):
            hasty.predict(FEATURES)
        told: list[str] = []
        asking = threading.Thread(target=lambda: told.append(client.predict(FEATURES).request_id))
        asking.start()
        again = start_api(port=port)
        asking.join(40)
        assert [each["request_id"] for each in again.events()] == told


@pytest.mark.parametrize(
    ("retry", "path", "times"),
    [
        (QUICK, "/predict", 1),
        (Retry(attempts=2, first_wait_s=0.01, lost_predictions=True), "/predict", 2),
        (QUICK, "/feedback", QUICK.attempts),
    ],
)
def test_of_a_lost_answer_a_prediction_is_not_asked_again_unless_it_may_and_feedback_is(
    retry: Retry, path: str, times: int
) -> None:
    with Mute() as mute, Client(mute.url, timeout_s=0.2, retry=retry) as client:
        ask = partial(client.predict, FEATURES) if path == "/predict" else partial(client.feedback, "x", 1)
        with pytest.raises(AnswerLostError, match="no answer came"):
            ask()
    assert mute.asked == [f"POST {path}"] * times


def test_feedback_is_told_to_a_server_that_answers_late(api: ApiProcess) -> None:
    with Client(url(api)) as client:
        request_id = client.predict(FEATURES).request_id
    [worker] = api.workers()
    os.kill(worker, signal.SIGSTOP)
    going_on = threading.Timer(0.5, os.kill, (worker, signal.SIGCONT))
    going_on.start()
    try:
        with Client(url(api), timeout_s=0.3, retry=Retry(attempts=100)) as client:
            client.feedback(request_id, 1)
    finally:
        going_on.join()
    told = [each for each in api.events() if (each["kind"], each["request_id"]) == ("feedback", request_id)]
    assert {each["outcome"] for each in told} == {1}


class Mute:
    """A server that reads what it is sent and never answers: it knows what was asked, whoever has given up.

    Attributes:
        asked: Method and path of each request, in order; all of them once the ``with`` has ended.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._reading = threading.Thread(target=self._read)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._listening:
            # The last in the line: when its turn comes, all that came before was read to its end.
            socket.create_connection(self._listening.getsockname()).close()
            self._reading.join()

    def _read(self) -> None:
        text = b"-"
        while text:
            connection, _ = self._listening.accept()
            with connection, connection.makefile("rb") as lines:
                text = lines.read()
            self.asked += [match.decode() for match in re.findall(rb"^([A-Z]+ \S+) HTTP/1.1\r$", text, re.MULTILINE)]


class Somebody(BaseHTTPRequestHandler):
    """Somebody else's server: 502 to whoever posts, a page to whoever gets."""

    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self._answer(502, b"<h1>Bad Gateway</h1>")

    def do_GET(self) -> None:
        self._answer(200, b"<h1>It works!</h1>")

    def _answer(self, status: int, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_who_is_not_driftline_is_told_from_it() -> None:
    with HTTPServer(("127.0.0.1", 0), Somebody) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        with Client(f"http://127.0.0.1:{server.server_port}", retry=QUICK) as client:
            for ask in (lambda: client.predict(FEATURES), lambda: client.feedback("x", 1), client.models):
                with pytest.raises(AnswerError):
                    ask()
        server.shutdown()
        serving.join()
    assert Somebody.asked == 1 + QUICK.attempts  # a proxy's 502 may hide a prediction, and feedback does no harm twice


def test_an_answer_that_breaks_off_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def break_off() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
                connection.close()

        breaking = threading.Thread(target=break_off)
        breaking.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Client(address, retry=QUICK) as client, pytest.raises(AnswerLostError):
            client.predict(FEATURES)
        breaking.join()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "ftp://127.0.0.1", "http://no.such.host.invalid"])
def test_nobody_there_is_said_as_that(address: str) -> None:
    with Client(address, retry=NEVER) as client, pytest.raises(UnreachableError, match="cannot be reached"):
        client.predict(FEATURES)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"probabilities": {"a": 0.25, "b": 0.75}, "predicted_class": "b"}, MulticlassPrediction),
        ({"prediction": 12.5}, RegressionPrediction),
        ({"probability": 0.5, "predicted_class": "yes"}, BinaryPrediction),
    ],
)
def test_each_output_has_its_type(body: dict[str, Any], told: type) -> None:
    read_back = read(json.dumps({"request_id": "r", **body}).encode(), Record).typed(logged=True)
    assert type(read_back) is told
    assert list(read_back) == ["r", *body.values(), True]


def test_an_answer_without_a_prediction_is_not_driftlines() -> None:
    for body in (b'{"request_id":"r"}', b'{"request_id":"r","probability":1}', b"[]", b""):
        with pytest.raises(AnswerError):
            read(body, Record).typed(logged=True)
