from collections.abc import Iterator

import pytest

from tests.api.api_process import ApiProcess
from tests.api.conftest import StartApi, start_api

__all__ = ["StartApi", "start_api"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """One server for all tests that only talk to it."""
    server = ApiProcess(tmp_path_factory.mktemp("api"))
    server.wait_until_up()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log()
