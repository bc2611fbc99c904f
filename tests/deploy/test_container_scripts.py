"""The small programs that containers run beside Driftline."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "deploy" / "docker"
SYSTEM_PYTHON = Path("/usr/bin/python3")


def run(script: str, *arguments: str, python: Path = Path(sys.executable)) -> "subprocess.CompletedProcess[str]":
    command = [str(python), "-I", "-S", str(DOCKER / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def answering(status: int, body: bytes, *, after_s: float = 0.0) -> Iterator[int]:
    """The port of a server that gives this answer to ``/health/ready`` and 404 to the rest."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(after_s)
            with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked may have lost patience
                self.send_response(status if self.path == "/health/ready" else 404)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_service_that_is_ready_is_healthy() -> None:
    with answering(200, b'{"status":"ok"}') as port:
        ended = run("healthcheck.py", str(port))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_one_that_is_not_is_unhealthy_and_says_why() -> None:
    with answering(503, b'{"code":"not_ready","reason":"outbox_full"}') as port:
        ended = run("healthcheck.py", str(port))
    assert ended.returncode == 1
    assert "outbox_full" in ended.stderr


def test_nobody_there_is_unhealthy(free_port: int) -> None:
    ended = run("healthcheck.py", str(free_port))
    assert ended.returncode == 1
    assert f"port {free_port}" in ended.stderr


def test_one_that_hangs_is_unhealthy_within_the_engines_patience() -> None:
    began = time.monotonic()
    with answering(200, b"", after_s=4) as port:
        assert run("healthcheck.py", str(port)).returncode == 1
        assert time.monotonic() - began < 4


@pytest.mark.skipif(os.geteuid() != 0 or not SYSTEM_PYTHON.exists(), reason="needs root, and a Python for everybody")
def test_a_command_runs_as_the_owner_of_a_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 1234)
    ended = run("as_owner.py", str(tmp_path), "sh", "-c", "id -u; id -g; id -G", python=SYSTEM_PYTHON)
    assert ended.stdout.split() == ["4321", "1234", "1234"]


def test_the_command_runs_in_any_case_and_its_exit_code_is_the_result(tmp_path: Path) -> None:
    assert run("as_owner.py", str(tmp_path), "sh", "-c", "exit 7").returncode == 7
