"""A server that asks for keys: whom it lets in, how often, and what it says to the others."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from driftline.api.guard import READ_AGAIN_S, KeyRing, credential
from driftline.api.keys import add_key, revoke_key
from driftline.api.server import claim_metrics
from driftline.contract.openapi import document
from driftline.contract.package import seed_schema
from driftline.errors import KeysError, PortError
from driftline.ports import Address
from tests.api.api_process import EXAMPLE, JSON_TYPE, ApiProcess, code_of, parse_samples, status_of
from tests.api.conftest import StartApi
from tests.waiting import find_free_port, wait_until


class Guarded(ApiProcess):
    """A server with one key, whose own requests bring it."""

    def __init__(self, directory: Path, **config: Any) -> None:
        self.keys = directory / "keys.toml"
        self.token = add_key(self.keys, "tests")
        super().__init__(directory, keys=self.keys, **config)
        self.client.headers["x-api-key"] = self.token

    def ask(self, token: str, path: str = "/openapi.json") -> httpx.Response:
        """Asks on a connection of its own; either process may get it."""
        return self.client.get(path, headers={"x-api-key": token, "connection": "close"})


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server = Guarded(tmp_path_factory.mktemp("guarded"), processes=2, max_body_bytes=100_000)
    server.wait_until_up()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def bare(guarded: Guarded, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{guarded.port}{path}", headers=headers)


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_a_probe_needs_no_key(guarded: Guarded, path: str) -> None:
    assert bare(guarded, path).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/docs", "/openapi.json", "/static-offline-docs/favicon.png", "/nothing", "/health/", "//health"],
)
def test_all_else_does_whatever_there_is(guarded: Guarded, path: str) -> None:
    response = bare(guarded, path)
    assert (response.status_code, response.json()["code"]) == (401, "key_missing")
    assert response.headers["www-authenticate"] == 'Bearer realm="driftline"'
    assert response.headers["content-type"] == "application/problem+json"


def test_a_prediction_without_a_key_is_refused_counted_and_not_kept(guarded: Guarded) -> None:
    before = len(guarded.events())
    url = f"http://127.0.0.1:{guarded.port}/predict"
    for headers, code in ((JSON_TYPE, "key_missing"), ({**JSON_TYPE, "x-api-key": "x"}, "key_unknown")):
        counter = f'driftline_events_refused_total{{reason="{code}"}}'
        counted = guarded.metrics()[counter]
        response = httpx.post(url, content=EXAMPLE, headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, code)
        assert guarded.metrics()[counter] == counted + 1
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert len(guarded.events()) == before


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_a_key_is_taken_from_authorization(guarded: Guarded, scheme: str) -> None:
    headers = {**JSON_TYPE, "authorization": scheme + guarded.token}
    url = f"http://127.0.0.1:{guarded.port}/predict"
    assert httpx.post(url, content=EXAMPLE, headers=headers).status_code == 200


def test_a_key_is_taken_from_its_own_header(guarded: Guarded) -> None:
    assert guarded.predict().status_code == 200
    assert guarded.ask(guarded.token).status_code == 200


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        ([(b"authorization", b"Basic eDp5")], None),
        ([(b"authorization", b"Bearer a"), (b"x-api-key", b"b")], b"a"),
        ([(b"x-api-key", b"b"), (b"authorization", b"Bearer a")], b"a"),
        ([(b"authorization", b"Basic eDp5"), (b"x-api-key", b" b ")], b"b"),
        ([(b"authorization", b"Bearer ")], b""),
        ([(b"x-api-key", b"")], b""),
        ([(b"authorization", b"\xff\xfe")], None),
    ],
)
def test_the_header_of_a_proxy_does_not_hide_the_key(headers: list[tuple[bytes, bytes]], found: bytes | None) -> None:
    assert credential(headers) == found


@pytest.mark.parametrize("value", [b"", b"\xff" * 3000, b"driftline__", b"driftline_0_\x80", b"\x01\x02"])
def test_no_key_however_odd_is_a_server_error(guarded: Guarded, value: bytes) -> None:
    head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-API-Key: " + value + b"\r\n\r\n"
    assert status_of(guarded.send_raw(head)) in {400, 401}
    assert guarded.predict().status_code == 200


def test_a_body_is_not_read_for_whoever_has_no_key(guarded: Guarded) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n{"
    response = guarded.send_raw(head)
    assert (status_of(response), code_of(response)) == (401, "key_missing")


def test_the_served_document_says_that_a_key_is_needed(guarded: Guarded) -> None:
    served = guarded.ask(guarded.token).json()
    assert served["security"] == document(seed_schema(), keys_needed=True)["security"]
    assert {} not in served["security"]


def test_keys_change_while_it_serves_and_nobody_is_turned_away_meanwhile(guarded: Guarded) -> None:
    new = add_key(guarded.keys, "rotated")
    wait_until(lambda: all(guarded.ask(new).status_code == 200 for _ in range(20)))
    assert guarded.ask(guarded.token).status_code == 200
    revoke_key(guarded.keys, "rotated")
    wait_until(lambda: all(guarded.ask(new).status_code == 401 for _ in range(20)))
    assert guarded.ask(guarded.token).status_code == 200


def test_a_file_that_breaks_turns_nobody_away_and_is_said_once(guarded: Guarded) -> None:
    before = guarded.keys.read_bytes()
    guarded.keys.write_text("[[key")
    wait_until(lambda: guarded.ask(guarded.token).status_code == 200 and "keys.refused" in guarded.log())
    guarded.keys.unlink()
    wait_until(lambda: guarded.ask(guarded.token).status_code == 200 and "there is no file" in guarded.log())
    guarded.keys.write_bytes(before)
    new = add_key(guarded.keys, "after")
    wait_until(lambda: all(guarded.ask(new).status_code == 200 for _ in range(20)))
    assert guarded.log().count("keys.refused") <= 4, "at most once for each of two processes and two faults"


def test_the_rate_of_a_key_holds_over_all_processes_and_says_when_to_come_again(guarded: Guarded) -> None:
    limited = add_key(guarded.keys, "limited", rate_per_s=20)
    wait_until(lambda: all(guarded.ask(limited).status_code != 401 for _ in range(20)))
    began = time.monotonic()
    answers = [guarded.ask(limited) for _ in range(80)]  # each on a connection of its own: both processes get some
    took_s = time.monotonic() - began
    passed = sum(answer.status_code == 200 for answer in answers)
    assert passed <= 20 + 20 * took_s + 2
    refused = [answer for answer in answers if answer.status_code == 429]
    if took_s < 2:
        assert refused
    for answer in refused:
        assert answer.json()["code"] == "rate_limited"
        assert answer.headers["retry-after"] == "1"
    assert guarded.ask(guarded.token).status_code == 200, "another key has a bucket of its own"


def scrape(port: int) -> httpx.Response:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics")
    except httpx.TransportError as error:
        raise ConnectionError from error  # not yet


def test_the_metrics_move_to_a_port_of_their_own_where_no_key_is_needed(tmp_path: Path) -> None:
    port = find_free_port()
    server = Guarded(tmp_path, processes=2, metrics=("127.0.0.1", port))
    try:
        server.wait_until_up()
        assert server.client.get("/metrics").status_code == 404
        assert [server.predict().status_code for _ in range(5)] == [200] * 5
        scraped = wait_until(lambda: scrape(port))
        assert "server" not in scraped.headers
        assert parse_samples(scraped.text)["driftline_events_accepted_total"] == 5
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 404
        for pid in server.workers():  # whichever of them has the port
            os.kill(pid, signal.SIGKILL)
            samples = parse_samples(wait_until(lambda: scrape(port)).text)
            assert samples["driftline_events_accepted_total"] == 5
    finally:
        assert server.stop() == 0


def test_a_metrics_port_in_use_is_an_error_before_any_process_is_started(guarded: Guarded) -> None:
    with pytest.raises(PortError, match=f"port {guarded.port}.*api_metrics_port chooses another"):
        claim_metrics(Address("127.0.0.1", guarded.port))


def test_a_start_with_keys_that_cannot_be_read_fails_before_any_process_is_started(
    start_api: StartApi, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=KeysError.__name__):
        start_api(keys=tmp_path / "none.toml")


def test_a_file_that_could_not_be_read_is_read_again_though_it_has_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    old = add_key(path, "old")
    ring = KeyRing(path)
    assert ring.find(old.encode(), 0.0)
    new = add_key(path, "new")
    revoke_key(path, "old")
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, usual[1]))  # as where too many connections are open
    try:
        assert ring.find(old.encode(), READ_AGAIN_S)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert ring.find(new.encode(), 2 * READ_AGAIN_S)
    assert not ring.find(old.encode(), 2 * READ_AGAIN_S)


def test_the_file_stays_its_owners_whoever_draws_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    add_key(path, "first")
    if os.geteuid() == 0:
        os.chown(path, 10001, 10002)
    before = path.stat()
    add_key(path, "second")
    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (
        before.st_uid,
        before.st_gid,
        0o600,
    )
