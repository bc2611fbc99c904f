"""Fixtures shared by all tests: a real Redis, free ports, waiting with a deadline.

Their types and plain functions are imported as ``from tests.redis_server import RedisServer`` and
``from tests.waiting import eventually, wait_until``.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.redis_server import AppendOnly, NoTlsError, RedisServer, StartRedis
from tests.waiting import WaitUntil, find_free_port
from tests.waiting import wait_until as _wait_until


def pytest_configure(config: pytest.Config) -> None:
    """Names the markers: ``core`` tests also run under the other Pythons that Driftline is declared for."""
    config.addinivalue_line("markers", "core: start, predict, log, ledger; run under every declared Python")
    # How fast an example runs says something of the machine, and nothing of the code.
    settings.register_profile(
        "shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
    )
    settings.load_profile("shared-machine")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that runs within a test sets up the logging of the whole process; the next test has its own."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def wait_until() -> WaitUntil:
    """``wait_until(condition, within_s=30)``: the first truthy value, or the test fails."""
    return _wait_until


@pytest.fixture
def free_port() -> int:
    """A free TCP port on 127.0.0.1."""
    return find_free_port()


@pytest.fixture
def free_ports() -> Callable[[], int]:
    """A function that gives another free TCP port at each call."""
    return find_free_port


@pytest.fixture
def start_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartRedis]:
    """Starts a Redis of your own wishes (password, append-only file, TLS); all end with the test."""
    servers: list[RedisServer] = []

    def start(*, password: str | None = None, append_only: AppendOnly = "no", tls: bool = False) -> RedisServer:
        directory: Path = tmp_path_factory.mktemp("redis")
        server = RedisServer(directory, password=password, append_only=append_only, tls=tls)
        servers.append(server)
        try:
            server.start()
        except NoTlsError:
            pytest.skip("the Valkey server from the wheel speaks no TLS; a redis-server of the system does")
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def redis_server(start_redis: StartRedis) -> RedisServer:
    """A running Redis without a password that forgets everything when it ends."""
    return start_redis()
