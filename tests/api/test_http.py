"""What the service answers to those who mean well."""

import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import yaml

from driftline.contract.openapi import document, to_yaml
from driftline.contract.package import seed_schema
from tests.api.api_process import EXAMPLE, JSON_TYPE, ApiProcess, status_of

GETS = ["/health", "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"]


def test_the_seeds_request_gets_the_seeds_answer(api: ApiProcess) -> None:
    response = api.predict()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert list(answer) == ["request_id", "probability", "predicted_class"]
    assert (answer["probability"], answer["predicted_class"]) == (0.7649478037637648, 1)
    assert uuid.UUID(answer["request_id"]).version == 7


def test_an_answered_request_is_in_the_outbox_once_under_its_id(api: ApiProcess) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    response = api.predict(headers={"TraceParent": trace, "X-REQUEST-ID": "order-4711"})
    request_id = response.json()["request_id"]
    [event] = [event for event in api.events() if event["request_id"] == request_id]
    assert event["features"] == seed_schema().example
    assert (event["traceparent"], event["client_request_id"]) == (trace, "order-4711")
    age = datetime.now(UTC) - datetime.fromisoformat(event["timestamp"])
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_a_traceparent_that_comes_twice_is_no_traceparent(api: ApiProcess) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = [*JSON_TYPE.items(), ("traceparent", trace), ("traceparent", trace)]
    request_id = api.client.post("/predict", content=EXAMPLE, headers=headers).json()["request_id"]
    assert [event["traceparent"] for event in api.events() if event["request_id"] == request_id] == [None]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"]
)
def test_json_by_any_of_its_names_is_read(api: ApiProcess, content_type: str) -> None:
    assert api.predict(headers={"content-type": content_type}).status_code == 200


def test_a_body_without_a_content_type_is_read_as_json(api: ApiProcess) -> None:
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(EXAMPLE)}\r\n\r\n"
    assert status_of(api.send_raw(head.encode() + EXAMPLE)) == 200


def test_a_chunked_body_is_read(api: ApiProcess) -> None:
    chunks = (EXAMPLE[at : at + 7] for at in range(0, len(EXAMPLE), 7))
    assert api.client.post("/predict", content=chunks, headers=JSON_TYPE).status_code == 200


def test_health_is_what_it_always_was(api: ApiProcess) -> None:
    for path in ("/health", "/health/live", "/health/ready"):
        response = api.client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", GETS)
def test_head_is_get_without_the_body(api: ApiProcess, path: str) -> None:
    head, get = api.client.head(path), api.client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.content == b""


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/predict", "POST"),
        ("HEAD", "/predict", "POST"),
        ("DELETE", "/predict", "POST"),
        ("OPTIONS", "/predict", "POST"),
        ("PATCH", "/predict", "POST"),
        ("GET", "/feedback", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("PUT", "/metrics", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(api: ApiProcess, method: str, path: str, allow: str) -> None:
    response = api.client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    if method != "HEAD":
        assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/nothing", "/redoc", "/predict/", "/health/x", "/Predict", "/%2e%2e/etc", "/\u00e9", "/%ff"]
)
def test_an_unknown_path_is_a_404_with_a_code(api: ApiProcess, path: str) -> None:
    response = api.client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.headers["content-type"] == "application/problem+json"


def test_whoever_opens_the_address_alone_is_led_to_the_docs(api: ApiProcess) -> None:
    response = api.client.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_refused_as_such(api: ApiProcess, encoding: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    response = api.client.post("/predict", content=gzip.compress(b"{}"), headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert "Content-Encoding" in response.json()["detail"]


def test_a_body_that_is_said_to_be_as_it_is_is_read_in_whatever_case_that_is_said(api: ApiProcess) -> None:
    headers = {"content-type": "application/json", "content-encoding": "IDENTITY"}
    assert api.client.post("/predict", json=seed_schema().example, headers=headers).status_code == 200


def test_the_served_document_is_the_committed_one(api: ApiProcess) -> None:
    served = api.client.get("/openapi.json").json()
    assert served == yaml.safe_load(to_yaml(document(seed_schema())))


def test_the_docs_need_nothing_from_elsewhere(api: ApiProcess) -> None:
    for page in ("/docs",):
        html = api.client.get(page).text
        assert "https://" not in html
        assert "http://" not in html
        links = [part.split('"')[0] for part in html.split('src="')[1:] + html.split('href="')[1:]]
        assert any(link.endswith(".js") for link in links)
        for link in links:
            assert api.client.get(link).status_code == 200


def test_the_answers_are_what_the_document_says(api: ApiProcess) -> None:
    responses = document(seed_schema())["paths"]["/predict"]["post"]["responses"]
    for body in (EXAMPLE, b"{", b"{}", b"x" * 200_000):
        response: httpx.Response = api.predict(body)
        documented = responses[str(response.status_code)]["content"]
        assert response.headers["content-type"] in documented
        json.loads(response.content)
