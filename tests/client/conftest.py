from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.api_process import ApiProcess

StartApi = Callable[..., ApiProcess]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """One server for all tests that only talk to it."""
    server = ApiProcess(tmp_path_factory.mktemp("api"))
    server.wait_until_up()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log()


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[StartApi]:
    """Starts a server of your own wishes; all end with the test, even those that were stopped in their tracks."""
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
