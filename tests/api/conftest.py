from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.api_process import ApiProcess
from tests.api.stand import TIGHT, Stand, stand

StartApi = Callable[..., ApiProcess]


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[StartApi]:
    """Starts a server of your own wishes, in a directory of its own; all end with the test."""
    servers: list[ApiProcess] = []

    def start(**config: Any) -> ApiProcess:
        directory = tmp_path / f"api{len(servers)}"
        directory.mkdir()
        servers.append(ApiProcess(directory, **config))
        servers[-1].wait_until_up()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """One server for all tests that only talk to it. Whatever they say to it, it must not fail."""
    server = ApiProcess(tmp_path_factory.mktemp("api"), max_body_bytes=100_000, max_batch_bytes=1_000_000)
    server.wait_until_up()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log()
    assert "request.failed" not in server.log()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """What most are answered by."""
    with stand(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The same with little patience and little room."""
    with stand(tmp_path_factory.mktemp("tight"), **TIGHT) as made:
        yield made
