"""What the protocol's clients expect of its routes, over HTTP: the traps among it."""

import asyncio
import gzip
import json
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no stubs

from driftline.api.app import ApiConfig, create_app
from driftline.api.keys import add_key
from driftline.api.v2.answers import error_of_problem
from driftline.contract.problems import PROBLEMS, FieldError, InvalidFieldsError, problem, problem_of
from driftline.contract.v2.request import HEADER_LENGTH
from tests.api.api_process import ApiProcess, parse_samples
from tests.api.conftest import StartApi
from tests.waiting import wait_until

INFER = "/v2/models/seed/infer"
ROW = {"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1.5, -0.7]}
BODY = json.dumps({"inputs": [ROW]}).encode()
HEAD = json.dumps(
    {"inputs": [{"name": "i", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}]}
).encode()
BINARY = HEAD + struct.pack("<2d", 1.5, -0.7)
LENGTH = {HEADER_LENGTH: str(len(HEAD))}
SCORE = 0.7649478037637648


def error_of(response: httpx.Response, status: int) -> str:
    """The message of a refusal as each of the clients can read it."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"  # KServe's client compares it to the letter
    document = response.json()
    assert list(document) == ["error"]
    return str(document["error"])


def test_an_answer_is_200_and_json_that_names_the_model(api: ApiProcess) -> None:
    response = api.client.post(INFER, content=BODY)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    told = response.json()
    assert (told["model_name"], told["model_version"]) == ("seed", "1")
    assert "id" not in told
    assert told["outputs"][0] == {"name": "probability", "datatype": "FP64", "shape": [1], "data": [SCORE]}


@pytest.mark.parametrize("content_type", [None, "application/json", "application/octet-stream", "text/plain", "x"])
def test_bytes_are_told_by_their_header_and_never_by_the_content_type(
    api: ApiProcess, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    for body, more in ((BODY, {}), (BINARY, LENGTH)):
        response = api.client.post(INFER, content=body, headers={**headers, **more})
        assert response.json()["outputs"][0]["data"] == [SCORE]


def test_the_header_counts_the_bytes_before_they_were_compressed(api: ApiProcess) -> None:
    packed = gzip.compress(BINARY)
    response = api.client.post(INFER, content=packed, headers={**LENGTH, "content-encoding": "gzip"})
    assert response.json()["outputs"][0]["data"] == [SCORE]


def test_a_version_may_be_named(api: ApiProcess) -> None:
    assert api.client.post("/v2/models/seed/versions/1/infer", content=BODY).status_code == 200
    assert "version" in error_of(api.client.post("/v2/models/seed/versions/2/infer", content=BODY), 404)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/v2/models/sead/infer", BODY, 404, "did you mean seed?"),
        ("GET", "/v2/models/sead", b"", 404, "did you mean seed?"),
        ("GET", "/v2/models/sead/ready", b"", 404, "did you mean seed?"),
        ("GET", "/v2/models/seed/versions/2", b"", 404, "version"),
        ("GET", "/v2/models/seed/config", b"", 404, "nothing at this path"),
        ("GET", "/v2/no/such/path", b"", 404, "nothing at this path"),
        ("GET", INFER, b"", 405, "Use POST"),
        ("POST", "/v2", b"", 405, "Use GET"),
        ("POST", INFER, b"{", 400, "not JSON"),
        ("POST", INFER, b"{}", 400, "inputs"),
        ("POST", INFER, BODY.replace(b"1.5", b"null"), 400, "Row 0: the field feature_1 must be a number"),
        ("POST", INFER, b" " * 1_000_001, 413, "longer than 1000000 bytes"),
        ("POST", "/v2/repository/index", b"[]", 400, "ready"),
        ("POST", "/v2/repository/index", b" " * 5000, 413, "longer"),
    ],
)
def test_errors_are_json_with_an_error_and_nothing_else(  # noqa: PLR0917
    api: ApiProcess, method: str, path: str, body: bytes, status: int, said: str
) -> None:
    assert said in error_of(api.client.request(method, path, content=body), status)


def test_the_documents_examples_are_answered_as_the_document_says(api: ApiProcess) -> None:
    schemas = api.client.get("/openapi.json").json()["components"]["schemas"]
    examples = schemas["V2InferRequest"]["examples"]
    assert len(examples) == 2
    for example in examples:
        response = api.client.post(INFER, json=example)
        assert response.json()["outputs"][0]["data"] == [SCORE]
        Draft202012Validator(schemas["V2InferResponse"]).validate(response.json())


def test_a_bomb_is_refused(api: ApiProcess) -> None:
    response = api.client.post(INFER, content=gzip.compress(bytes(10_000_000)), headers={"content-encoding": "gzip"})
    error_of(response, 413)


def test_every_problem_can_be_told_and_a_wrong_request_is_400() -> None:
    for code, (status, title, _) in PROBLEMS.items():
        told = error_of_problem(problem(code, "Detail."))
        assert told.status == (400 if status == 422 else status)
        alone = code == "model_not_found" or status in {400, 408, 413, 415, 422}
        assert json.loads(told.body) == {"error": "Detail." if alone else f"{title}. Detail."}
        assert dict(told.headers)["content-type"] == "application/json"
    assert dict(error_of_problem(problem("overloaded", "x")).headers)["retry-after"] == "1"


def test_of_many_wrong_rows_some_are_told_and_the_others_counted() -> None:
    errors = [FieldError((at, "x"), "not_finite", f"Row {at} is wrong.") for at in range(13)]
    told = json.loads(error_of_problem(problem_of(InvalidFieldsError(errors))).body)["error"]
    assert told.startswith("Row 0 is wrong. Row 1 is wrong. ")
    assert told.endswith("Row 9 is wrong. And 3 more.")


def test_health_says_live_and_ready(api: ApiProcess) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        response = api.client.get(path)
        assert (response.status_code, response.json()) == (200, {"live": True, "ready": True})
        assert api.client.head(path).status_code == 200
    for path in ("/v2/models/seed/ready", "/v2/models/seed/versions/1/ready"):
        assert api.client.get(path).json() == {"name": "seed", "ready": True}


def test_the_server_and_its_models_say_what_they_are(api: ApiProcess) -> None:
    assert api.client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/seed", "/v2/models/seed/versions/1"):
        told = api.client.get(path).json()
        assert (told["name"], told["versions"], told["platform"]) == ("seed", ["1"], "driftline_logistic")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b'{"ready": false, "repository_name": ""}'])
def test_the_index_may_be_asked_with_an_empty_body(api: ApiProcess, body: bytes) -> None:
    told = api.client.post("/v2/repository/index", content=body)
    assert told.json() == [{"name": "seed", "version": "1", "state": "READY", "reason": ""}]


def test_a_server_that_is_not_ready_is_503_and_says_so_but_lives(tmp_path: Path) -> None:
    config = ApiConfig("t", tmp_path / "outbox", tmp_path / "logs", None, "os", 1 << 20, 1 << 20, 1000, None, 1.0)

    async def ask(method: str, path: str, body: bytes = b"") -> httpx.Response:
        app = httpx.ASGITransport(
            create_app(config).app
        )  # which has no lifespan, so it stays as it is before its start
        async with httpx.AsyncClient(transport=app, base_url="http://x") as client:
            return await client.request(method, path, content=body)

    def asked(method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        response = asyncio.run(ask(method, path, body))
        return response.status_code, response.json()

    assert asked("GET", "/v2/health/live") == (200, {"live": True, "ready": False})
    for path in ("/v2/health/ready", "/v2/models/seed/ready"):
        status, told = asked("GET", path)
        assert (status, told["live"], told["ready"]) == (503, True, False)
        assert "starting" in told["error"]
    assert asked("POST", INFER, BODY)[0] == 503
    [model] = asked("POST", "/v2/repository/index")[1]
    assert (model["state"], model["reason"]) == ("UNAVAILABLE", "starting")
    assert asked("POST", "/v2/repository/index", b'{"ready": true}') == (200, [])


def test_a_probe_needs_no_key_and_who_has_none_is_told_so_in_the_same_words(
    start_api: StartApi, tmp_path: Path
) -> None:
    token = add_key(tmp_path / "keys.toml", "one")
    api = start_api(keys=tmp_path / "keys.toml")
    assert api.client.get("/v2/health/live").status_code == 200
    assert api.client.get("/v2/health/ready").status_code == 200
    for method, path in (("GET", "/v2"), ("GET", "/v2/models/seed/ready"), ("POST", INFER)):
        response = api.client.request(method, path)
        assert "key is needed" in error_of(response, 401)
        assert "www-authenticate" in response.headers
    samples = parse_samples(api.client.get("/metrics", headers={"x-api-key": token}).text)
    assert samples['driftline_events_refused_total{reason="key_missing"}'] == 1  # of the inference


def test_refusals_are_counted_as_others_are(api: ApiProcess) -> None:
    def count(sample: str) -> float:
        return api.metrics().get(sample, 0)

    by_reason = 'driftline_events_refused_total{reason="not_finite"}'
    by_route = 'driftline_requests_total{route="/v2/models/{name}/infer",status="400"}'
    before, before_by_route = count(by_reason), count(by_route)
    error_of(api.client.post(INFER, content=BODY.replace(b"1.5", b"NaN")), 400)
    assert count(by_reason) == before + 1
    wait_until(lambda: count(by_route) == before_by_route + 1)
