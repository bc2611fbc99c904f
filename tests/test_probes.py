"""The worker's own HTTP server: metrics, alive, ready; and nothing a client does disturbs it."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from driftline.errors import PortError
from driftline.probes import HealthServer
from tests.waiting import wait_until

READY = ["/health", "/health/ready"]


class State:
    """What the worker says of itself."""

    reason = ""


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def server(state: State) -> Iterator[HealthServer]:
    server = HealthServer("127.0.0.1", 0, lambda: state.reason)
    yield server
    server.close()


def ask(server: HealthServer, method: str, path: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.headers["Content-Type"], answer.read()
    connection.close()
    return found


@pytest.mark.parametrize("path", [*READY, "/health/live", "/health?probe=1"])
def test_a_worker_that_takes_events_is_ok(server: HealthServer, path: str) -> None:
    assert ask(server, "GET", path) == (200, "application/json", b'{"status":"ok"}')


@pytest.mark.parametrize("path", READY)
def test_a_worker_that_takes_nothing_is_not_ready_and_gives_the_reason(
    server: HealthServer, state: State, path: str
) -> None:
    state.reason = 'standby: "another" worker has the log'
    status, content_type, body = ask(server, "GET", path)
    assert (status, content_type) == (503, "application/problem+json")
    problem = json.loads(body)
    assert (problem["status"], problem["code"], problem["detail"]) == (503, "not_ready", state.reason)
    state.reason = ""
    assert ask(server, "GET", path)[0] == 200


def test_a_worker_that_is_not_ready_is_alive(server: HealthServer, state: State) -> None:
    state.reason = "starting"
    assert ask(server, "GET", "/health/live")[0] == 200


@pytest.mark.parametrize("path", ["/", "/healthy", "/health/", "/metrics/x", "/%00"])
def test_another_path_is_404_with_a_problem(server: HealthServer, path: str) -> None:
    status, content_type, body = ask(server, "GET", path)
    assert (status, content_type) == (404, "application/problem+json")
    assert json.loads(body)["code"] == "not_found"


def test_metrics_are_those_of_the_worker(server: HealthServer) -> None:
    import driftline.worker.scribe  # noqa: F401 (it declares them)

    status, content_type, body = ask(server, "GET", "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    for name in (b"driftline_events_committed_total", b"driftline_log_bytes", b"driftline_log_failures_total"):
        assert b"# HELP " + name.removesuffix(b"_total") in body


def test_no_answer_tells_a_version_or_may_be_kept(server: HealthServer) -> None:
    for method, path in (("GET", "/metrics"), ("GET", "/nothing"), ("BREW", "/metrics"), ("POST", "/<script>")):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.getheader("server") is None
        assert answer.getheader("cache-control") == "no-store"
        assert answer.getheader("x-content-type-options") == "nosniff"
        said = answer.read()
        assert path == "/metrics" or b"<script>" not in said  # where other tests' columns may have such names
        connection.close()


def test_without_a_state_to_tell_there_are_metrics_alone() -> None:
    server = HealthServer("127.0.0.1", 0, None)
    try:
        assert ask(server, "GET", "/metrics")[0] == 200
        assert [ask(server, "GET", path)[0] for path in (*READY, "/health/live")] == [404] * 3
    finally:
        server.close()


@pytest.mark.parametrize("path", ["/health", "/metrics", "/nowhere"])
def test_head_is_answered_like_get_without_the_body(server: HealthServer, path: str) -> None:
    status, content_type, body = ask(server, "HEAD", path)
    assert (status, content_type) == ask(server, "GET", path)[:2]
    assert body == b""


def test_a_connection_is_kept_for_the_next_request(server: HealthServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, "/health")
        assert connection.getresponse().read() == (b"" if method == "HEAD" else b'{"status":"ok"}')
    connection.close()


def test_clients_that_hang_do_not_hold_up_the_others(server: HealthServer) -> None:
    hanging = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for client in hanging[:10]:
        client.sendall(b"GET /health HTTP/1.1\r\n")
    assert ask(server, "GET", "/health")[0] == 200
    for client in hanging:
        client.close()


def test_a_client_that_resets_its_connection_leaves_no_traceback(
    server: HealthServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", server.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        client.close()
    assert ask(server, "GET", "/health")[0] == 200
    wait_until(lambda: not [thread for thread in threading.enumerate() if "process_request" in thread.name])
    assert "Traceback" not in capfd.readouterr().err


def test_a_port_that_is_taken_is_a_worker_error_that_names_it(server: HealthServer) -> None:
    with pytest.raises(PortError, match=rf"127\.0\.0\.1:{server.port}.*--metrics-port"):
        HealthServer("127.0.0.1", server.port, str)


def test_a_host_that_is_none_is_a_worker_error() -> None:
    with pytest.raises(PortError, match="no-such-host"):
        HealthServer("no-such-host.invalid", 0, str)


def test_a_name_server_that_hangs_does_not_hold_up_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: looking up the machine's own name takes for ever. Nobody needs it."""

    def hang(name: str = "") -> str:
        raise AssertionError("the name server was asked")

    monkeypatch.setattr("socket.getfqdn", hang)
    HealthServer("127.0.0.1", 0, str).close()


def test_a_closed_server_gives_up_its_port(state: State) -> None:
    first = HealthServer("127.0.0.1", 0, lambda: state.reason)
    first.close()
    second = HealthServer("127.0.0.1", first.port, lambda: state.reason)
    assert ask(second, "GET", "/health")[0] == 200
    second.close()
