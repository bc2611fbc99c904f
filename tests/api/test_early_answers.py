"""Answers that are given before the request was read to its end: the connection goes on, or the client is told."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.api.keys import add_key
from tests.api.api_process import EXAMPLE, ApiProcess, receive, status_of

NEXT = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT = 1000


class Keyed(ApiProcess):
    """A server with a key that may ask once in a thousand seconds, and has."""

    def __init__(self, directory: Path) -> None:
        token = add_key(directory / "keys.toml", "seldom", rate_per_s=0.001)
        super().__init__(directory, keys=directory / "keys.toml", max_body_bytes=LIMIT)
        self.wait_until_up()
        self.used_up = f"X-API-Key: {token}\r\n".encode()
        assert status_of(self.send_raw(b"GET /docs HTTP/1.1\r\nHost: x\r\n" + self.used_up + b"\r\n")) == 200


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    server = Keyed(tmp_path_factory.mktemp("keyed"))
    yield server
    assert server.stop() == 0


def post(path: bytes, length: int, headers: bytes = b"", method: bytes = b"POST") -> bytes:
    return method + b" %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (path, headers, length)


def next_is_answered(port: int, head: bytes, body: bytes, status: int, pause_s: float) -> bool:
    """Whether a keep-alive connection goes on after an early answer; that it does not has to be in the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head)
        time.sleep(pause_s)
        connection.sendall(body)
        answer = receive(connection)
        assert status_of(answer) == status
        if b"\r\nconnection: close\r\n" in answer.lower():
            return False
        connection.sendall(NEXT)
        assert status_of(receive(connection)) == 200
        return True


@pytest.mark.parametrize("pause_s", [0.0, 0.01])
def test_a_body_on_its_way_to_an_early_answer_does_not_end_the_connection(keyed: Keyed, pause_s: float) -> None:
    for head, status in (
        (post(b"/predict", len(EXAMPLE)), 401),
        (post(b"/predict", len(EXAMPLE), keyed.used_up), 429),
        (post(b"/health", len(EXAMPLE)), 405),
    ):
        assert next_is_answered(keyed.port, head, EXAMPLE, status, pause_s)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"GET"])
def test_nor_does_one_that_nobody_wanted(api: ApiProcess, method: bytes) -> None:
    assert next_is_answered(api.port, post(b"/nothing", len(EXAMPLE), method=method), EXAMPLE, 404, 0.01)


def test_who_sends_more_than_is_read_is_told_that_the_connection_ends(api: ApiProcess) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless = (b"2710\r\n" + b" " * 10_000 + b"\r\n") * 30
    assert not next_is_answered(api.port, head, endless, 413, 0.0)
    assert not next_is_answered(api.port, post(b"/predict", 1 << 40), b" " * 1000, 413, 0.0)
    assert not next_is_answered(api.port, post(b"/nothing", 10), b"", 404, 0.0)
    expecting = post(b"/nothing", 10, b"Expect: 100-continue\r\n")
    assert not next_is_answered(api.port, expecting, b"", 404, 0.0)
