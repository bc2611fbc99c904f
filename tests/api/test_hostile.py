"""What the service answers to those who do not: a code each time, never a 500, and no event."""

import json
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from driftline.contract.examples import refused_bodies
from driftline.contract.package import seed_schema
from driftline.contract.problems import PROBLEMS
from tests.api.api_process import EXAMPLE, JSON_TYPE, ApiProcess, code_of, status_of
from tests.api.conftest import StartApi

A, B = seed_schema().names
LIMIT = 100_000  # as the fixture has it
DEEP = 40_000
SAME_SERVER = settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def field(token: str) -> bytes:
    return f'{{"{A}": {token}, "{B}": 2}}'.encode()


TABLE = [
    *((body, code) for code, body in refused_bodies(seed_schema()).items()),
    (b"not json", "malformed_json"),
    (b"\xef\xbb\xbf" + EXAMPLE, "malformed_json"),
    (EXAMPLE + EXAMPLE, "malformed_json"),
    (EXAMPLE.decode().encode("utf-16"), "invalid_utf8"),
    (b"null", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"{}", "missing_field"),
    (EXAMPLE[:-1] + b', "extra": 1}', "unknown_field"),
    (EXAMPLE[:-1] + b', "\\ud800": 1}', "unknown_field"),
    (EXAMPLE[:-1] + b', "' + A.replace("_", "\\u005f").encode() + b'": 1}', "duplicate_field"),
    (field("true"), "wrong_type"),
    (field("null"), "wrong_type"),
    (field('"1.5"'), "wrong_type"),
    (field("[1]"), "wrong_type"),
    (field("NaN"), "not_finite"),
    (field("Infinity"), "not_finite"),
    (field("-Infinity"), "not_finite"),
    (field("-1e999"), "number_out_of_range"),
    (field("9" * 400), "number_out_of_range"),
    (field("9" * 50_000), "number_out_of_range"),
    (b"[" * DEEP, "too_deep"),
    (b"[" * DEEP + b"]" * DEEP, "too_deep"),
    (b'{"a":' * (DEEP // 3), "too_deep"),
    (field("[" * DEEP + "]" * DEEP), "too_deep"),
]


@pytest.mark.parametrize(("body", "code"), TABLE)
def test_each_bad_body_is_refused_with_its_code_and_leaves_no_event(api: ApiProcess, body: bytes, code: str) -> None:
    before, refused = len(api.events()), counted(api, code)
    response = api.predict(body)
    assert (response.status_code, response.json()["code"]) == (PROBLEMS[code].status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert len(api.events()) == before
    assert counted(api, code) == refused + 1


def counted(api: ApiProcess, code: str) -> float:
    return api.metrics()[f'driftline_events_refused_total{{reason="{code}"}}']


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "x", "", "\xff"])
def test_a_content_type_that_is_not_json_is_refused(api: ApiProcess, content_type: str) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: " + content_type.encode("latin-1")
    response = api.send_raw(head + b"\r\nContent-Length: %d\r\n\r\n" % len(EXAMPLE) + EXAMPLE)
    assert (status_of(response), code_of(response)) == (415, "unsupported_media_type")


def test_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not(api: ApiProcess) -> None:
    assert api.predict(EXAMPLE.ljust(LIMIT)).status_code == 200
    response = api.predict(EXAMPLE.ljust(LIMIT + 1))
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("length", [LIMIT + 1, 10**12, 2**63])
def test_a_body_announced_too_long_is_refused_before_it_is_sent(api: ApiProcess, length: int) -> None:
    response = api.send_raw(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
    assert (status_of(response), code_of(response)) == (413, "body_too_large")


def test_a_chunked_body_is_refused_once_it_is_too_long_though_it_never_ends(api: ApiProcess) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"2710\r\n" + b" " * 10_000 + b"\r\n"
    response = api.send_raw(head + chunk * (LIMIT // 10_000 + 1))
    assert (status_of(response), code_of(response)) == (413, "body_too_large")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_a_long_body_to_its_end_still_reads_the_refusal(api: ApiProcess, chunked: bool) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    content = chunks() if chunked else b" " * 10_000_000
    response = api.client.post("/predict", content=content, headers=JSON_TYPE)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_a_body_that_breaks_off_is_refused(api: ApiProcess, request_: bytes) -> None:
    response = api.send_raw(request_, half_close=True)
    assert (status_of(response), code_of(response)) == (400, "incomplete_body")


def test_clients_that_hang_up_in_the_middle_disturb_nobody(start_api: StartApi) -> None:
    api = start_api()  # of its own: whole requests may be kept or not, and nothing tells when that is decided
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(EXAMPLE)
    for sent in (head[:30], head, head + EXAMPLE[:5], head + EXAMPLE):
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", api.port)) as connection:
                linger = struct.pack("ii", 1, 0)  # a reset, not a close
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.sendall(sent)
    assert api.predict().status_code == 200


@SAME_SERVER
@given(body=st.binary(max_size=300))
def test_no_garbage_in_the_body_is_a_server_error(api: ApiProcess, body: bytes) -> None:
    before = len(api.events())
    response = api.predict(body)
    assume(response.status_code != 200)  # Hypothesis knows what stands in our code, and may put a request together
    assert response.status_code in {400, 422}
    assert response.json()["code"] in PROBLEMS
    assert len(api.events()) == before


@SAME_SERVER
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([A, B]) | st.text(st.characters()), inner),
        max_leaves=8,
    )
)
def test_no_json_is_a_server_error_and_only_two_finite_numbers_are_an_event(api: ApiProcess, value: object) -> None:
    response = api.predict(json.dumps(value).encode("utf-8", "replace"))
    assert response.status_code in {200, 400, 422}
    if response.status_code == 200:
        assert isinstance(value, dict)
        assert set(value) == {A, B}


printable = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)


@SAME_SERVER
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(["Content-Type", "traceparent", "X-Request-Id", "Accept", "Host", "Expect"]), printable
        ),
        max_size=6,
    )
)
def test_no_header_is_a_server_error(api: ApiProcess, headers: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(EXAMPLE)}\r\n\r\n"
    response = api.send_raw(head.encode("latin-1") + EXAMPLE)
    assert status_of(response) in {100, 200, 400, 415}


@SAME_SERVER
@given(
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
    method=st.sampled_from(["GET", "POST"]),
)
def test_no_path_is_a_server_error(api: ApiProcess, path: str, method: str) -> None:
    for prefix in ("/", "/static-offline-docs/"):
        head = f"{method} {prefix}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        assert status_of(api.send_raw(head.encode())) in {200, 307, 400, 404, 405, 422}


@SAME_SERVER
@given(noise=st.binary(min_size=1, max_size=200))
def test_no_noise_on_the_socket_is_a_server_error(api: ApiProcess, noise: bytes) -> None:
    assert status_of(api.send_raw(noise, half_close=True)) in {0, 400, 404, 405}


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n", {0, 431}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {0, 404, 414, 431}),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 5000 + b"\r\n", {431}),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", {400}),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", {400}),
        (b"GET /static-offline-docs/%00 HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
        (b"GET /static-offline-docs/..%2f..%2fcore.py HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", {200, 400}),
        (b"\x16\x03\x01" + bytes(200), {0, 400}),
    ],
)
def test_what_http_itself_does_not_allow_is_refused(api: ApiProcess, request_: bytes, statuses: set[int]) -> None:
    assert status_of(api.send_raw(request_)) in statuses
    assert api.answers()
