"""MLflow's scoring protocol, asked as its documentation and its clients ask: a real server, and real curl."""

import asyncio
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from driftline.api.batch import Limits
from driftline.api.keeper import Keeper
from driftline.api.keys import add_key
from driftline.api.mlflow import invoke
from driftline.api.predict import Choose
from driftline.api.served import Served
from driftline.contract.mlflow import as_mlflow
from driftline.contract.package import read_package
from driftline.contract.problems import PROBLEMS, Answer, problem
from driftline.contract.schema import Row, Score
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from tests.api.api_process import ApiProcess
from tests.api.conftest import StartApi

ROWS = [[1.5, -0.7], [-3, 0]]
CLASSES = [1, 0]
CSV = b"feature_1,feature_2\n1.5,-0.7\n-3,0\n"


def invocations(api: ApiProcess, body: Any, path: str = "/invocations", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.client.post(path, content=content, headers={"content-type": "application/json", **headers})


def error(answer: httpx.Response) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert isinstance(told["message"], str)
    return answer.status_code, told["error_code"], told["code"]


def curl(*arguments: str) -> Any:
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


# -- as MLflow's documentation has it: "Local Inference Spec", with this model's columns


@pytest.mark.parametrize(
    "arguments",
    [
        (
            *("-H", "Content-Type:application/json"),
            *("-d", '{"dataframe_split": {"columns": ["feature_1", "feature_2"], "data": [[1.5, -0.7], [-3, 0]]}}'),
        ),
        (
            *("-H", "Content-Type: application/json"),
            *(
                "-d",
                '{"dataframe_records": [{"feature_1": 1.5, "feature_2": -0.7}, {"feature_2": 0, "feature_1": -3}]}',
            ),
        ),
        ("-H", "Content-Type: application/json", "-d", '{"instances": [[1.5, -0.7], [-3, 0]]}'),
        (
            *("-H", "Content-Type: application/json"),
            *("-d", '{"inputs": {"feature_1": [1.5, -3], "feature_2": [-0.7, 0]}, "params": {"max_answer_len": 10}}'),
        ),
        ("-H", "Content-Type: text/csv; charset=utf-8", "--data-binary", CSV.decode()),
    ],
    ids=["dataframe_split", "dataframe_records", "instances", "inputs", "csv"],
)
def test_the_requests_of_mlflows_documentation_are_answered(api: ApiProcess, arguments: tuple[str, ...]) -> None:
    told = curl(f"http://127.0.0.1:{api.port}/invocations", *arguments)
    assert told["predictions"] == CLASSES
    assert len(set(told["request_ids"])) == 2


def test_each_row_is_an_event_like_any_other_with_its_own_request_id(api: ApiProcess) -> None:
    answer = invocations(api, {"inputs": ROWS, "params": {"output": "records"}}, **{"x-request-id": "order-1"})
    told = answer.json()
    events = {event["request_id"]: event for event in api.events()}
    assert [row["request_id"] for row in told["predictions"]] == told["request_ids"]
    for row, values in zip(told["predictions"], ROWS, strict=True):
        event = events[row["request_id"]]
        assert event["kind"] == "prediction"
        assert event["client_request_id"] == "order-1"
        assert list(event["features"].values()) == values
        assert {name: event[name] for name in row} == row
        alone = api.predict(json.dumps(event["features"]).encode()).json()
        assert row == {**alone, "request_id": row["request_id"]}


def test_params_output_asks_for_probabilities_in_the_order_of_the_classes(api: ApiProcess) -> None:
    told = invocations(api, {"inputs": ROWS[:1], "params": {"output": "probabilities"}}).json()
    assert told["predictions"] == [[1 - 0.7649478037637648, 0.7649478037637648]]
    wrong = invocations(api, {"inputs": ROWS, "params": {"output": "proba"}})
    assert error(wrong) == (400, "BAD_REQUEST", "wrong_value")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", (400, "BAD_REQUEST", "malformed_json")),
        (b"\xff", (400, "BAD_REQUEST", "invalid_utf8")),
        (b"", (400, "BAD_REQUEST", "empty_body")),
        (b"[[1.5,-0.7]]", (400, "BAD_REQUEST", "not_an_object")),
        ({}, (400, "BAD_REQUEST", "missing_field")),
        ({"inputs": ROWS, "instances": ROWS}, (400, "BAD_REQUEST", "missing_field")),
        ({"inputs": []}, (400, "BAD_REQUEST", "empty_batch")),
        ({"inputs": [[1, 2, 3]]}, (400, "BAD_REQUEST", "wrong_value")),
        ({"inputs": {"feature_1": [1]}}, (400, "INVALID_PARAMETER_VALUE", "missing_field")),
        ({"inputs": [["x", 1]]}, (400, "INVALID_PARAMETER_VALUE", "wrong_type")),
        ({"inputs": [[float("nan"), 1]]}, (400, "INVALID_PARAMETER_VALUE", "not_finite")),
        ({"inputs": [[0, 0]] * 10_001}, (413, "BAD_REQUEST", "too_many_rows")),
    ],
)
def test_what_is_refused_says_so_in_mlflows_words_and_keeps_nothing(
    api: ApiProcess, body: object, told: tuple[int, str, str]
) -> None:
    before = len(api.events())
    assert error(invocations(api, body)) == told
    assert len(api.events()) == before


def test_the_message_says_what_is_wrong_with_the_first_rows_and_errors_with_all(api: ApiProcess) -> None:
    told = invocations(api, {"inputs": [["secret", 1]] * 7}).json()
    assert told["message"].startswith("Row 0: the field feature_1 must be a number, not a string. Row 1:")
    assert told["message"].endswith("And 2 more.")
    assert len(told["errors"]) == 7
    assert "secret" not in json.dumps(told)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/vnd.apache.parquet",
        "application/json; format=pandas-split",
        "text/csv; charset=latin-1",
    ],
)
def test_another_type_or_another_parameter_is_a_415(api: ApiProcess, content_type: str) -> None:
    answer = invocations(api, {"inputs": ROWS}, **{"content-type": content_type})
    assert error(answer) == (415, "BAD_REQUEST", "unsupported_media_type")


def test_a_compressed_body_and_another_method_are_refused_in_mlflows_words_too(api: ApiProcess) -> None:
    answer = invocations(api, {"inputs": ROWS}, **{"content-encoding": "gzip"})
    assert error(answer) == (415, "BAD_REQUEST", "unsupported_media_type")
    assert error(api.client.get("/invocations")) == (405, "BAD_REQUEST", "method_not_allowed")


def test_a_model_is_asked_by_its_name(api: ApiProcess) -> None:
    for path in ("/models/seed/invocations", "/models/seed/versions/1/invocations"):
        assert invocations(api, {"inputs": ROWS}, path).json()["predictions"] == CLASSES
    answer = invocations(api, {"inputs": ROWS}, "/models/seeds/invocations")
    assert error(answer) == (404, "RESOURCE_DOES_NOT_EXIST", "model_not_found")


def test_ping_and_version_answer_as_mlflows_server_does(api: ApiProcess) -> None:
    ping, version = api.client.get("/ping"), api.client.get("/version")
    assert (ping.status_code, ping.text) == (200, "\n")
    assert ping.headers["content-type"] == version.headers["content-type"] == "application/json"
    assert (version.status_code, version.text.count(".")) == (200, 2)


def test_a_key_is_asked_for_in_mlflows_words_and_ping_needs_none(start_api: StartApi, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    token = add_key(keys, "web")
    api = start_api(keys=keys)
    assert error(invocations(api, {"inputs": ROWS})) == (401, "UNAUTHENTICATED", "key_missing")
    assert api.client.get("/ping").status_code == 200
    assert invocations(api, {"inputs": ROWS}, authorization=f"Bearer {token}").json()["predictions"] == CLASSES


def test_what_cannot_be_kept_is_not_told_and_may_be_asked_again(start_api: StartApi) -> None:
    api = start_api(outbox_max_bytes=3000, outbox_segment_max_bytes=3000)
    answer = invocations(api, {"inputs": ROWS * 10})
    assert error(answer) == (503, "TEMPORARILY_UNAVAILABLE", "outbox_full")
    assert answer.headers["retry-after"]
    assert api.events() == []
    unlogged = start_api(outbox_max_bytes=3000, outbox_segment_max_bytes=3000, outbox_full_policy="serve")
    answer = invocations(unlogged, {"inputs": ROWS * 10})
    assert answer.json()["predictions"] == CLASSES * 10
    assert answer.headers["driftline-logged"] == "no"


def test_a_body_that_is_too_large_is_refused_in_mlflows_words(start_api: StartApi) -> None:
    api = start_api(max_batch_bytes=100)
    assert error(invocations(api, {"inputs": ROWS * 10})) == (413, "BAD_REQUEST", "body_too_large")
    assert invocations(api, {"inputs": ROWS}).json()["predictions"] == CLASSES


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_has_a_code_of_mlflows(code: str) -> None:
    told = as_mlflow(problem(code, "Because."))
    document = msgspec.json.decode(told.body)
    assert told.status == (400 if PROBLEMS[code].status == 422 else PROBLEMS[code].status)
    assert document["code"] == code
    assert document["error_code"] in {
        *("BAD_REQUEST", "UNAUTHENTICATED", "ENDPOINT_NOT_FOUND", "RESOURCE_DOES_NOT_EXIST"),
        *("REQUEST_LIMIT_EXCEEDED", "INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"),
    }
    assert ("retry-after" in dict(told.headers)) == (PROBLEMS[code].retry_after_s is not None)


# -- what the other outputs give, in this process


class Constant:
    """A model that gives the same score for every row."""

    def __init__(self, score: Score) -> None:
        self._score = score

    def score(self, rows: Sequence[Row]) -> list[Score]:
        return [self._score] * len(rows)

    def score_row(self, row: Row) -> Score:
        return self._score


def served(folder: Path, declared: str, score: Score, version: str = "1") -> Served:
    artifact = (
        '[[features]]\nname = "x"\ntype = "float"\n[artifact]\nruntime = "logistic"\nbias = 0\nweights = { x = 1 }\n'
    )
    (folder / "model.toml").write_text(f'name = "m"\nversion = "{version}"\n{declared}\n{artifact}')
    return Served(read_package(folder), Constant(score))


def invoked(folder: Path, asked: Served, body: object, chosen: Choose | None = None) -> Any:
    root = OutboxRoot(folder / "outbox")
    root.create()

    async def call() -> Answer:
        keeper = Keeper(Outbox(root), durable=False)
        return await invoke(asked, keeper, Limits(2, 1000), {}, json.dumps(body).encode(), chosen=chosen)

    answer = asyncio.run(call())
    return msgspec.json.decode(answer.body).get("predictions", answer.status)


def ask(folder: Path, declared: str, score: Score, output: str) -> Any:
    return invoked(folder, served(folder, declared, score), {"inputs": [1, 2], "params": {"output": output}})


def test_a_table_of_one_row_may_be_a_canarys_and_no_other(tmp_path: Path) -> None:
    serving, canary = (served(tmp_path, 'output = "binary"', score, str(score)) for score in (0.0, 1.0))
    for rows, predictions in (([1], [1]), ([1, 2], [0, 0])):
        assert invoked(tmp_path, serving, {"inputs": rows}, lambda _, row: (canary, row)) == predictions
        assert invoked(tmp_path, serving, {"inputs": rows}) == [0] * len(rows)


def test_of_labels_the_label_is_told_and_of_a_regression_the_number(tmp_path: Path) -> None:
    binary = 'output = "binary"\nlabels = ["no", "yes"]'
    assert ask(tmp_path, binary, 0.75, "predictions") == ["yes", "yes"]
    assert ask(tmp_path, binary, 0.75, "probabilities") == [[0.25, 0.75]] * 2
    three = 'output = "multiclass"\nlabels = ["a", "b", "c"]'
    assert ask(tmp_path, three, (0.25, 0.5, 0.25), "predictions") == ["b", "b"]
    assert ask(tmp_path, three, (0.25, 0.5, 0.25), "probabilities") == [[0.25, 0.5, 0.25]] * 2
    assert [row["probabilities"]["b"] for row in ask(tmp_path, three, (0.25, 0.5, 0.25), "records")] == [0.5, 0.5]
    assert ask(tmp_path, 'output = "regression"', 12.5, "predictions") == [12.5, 12.5]
    assert ask(tmp_path, 'output = "regression"', 12.5, "probabilities") == 422
