"""``driftline serve`` as it starts: what it loads, and that it loads it once, for all its processes."""

import http.client
import os
import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import EXAMPLE, environment
from tests.waiting import find_free_port, wait_until

OTHERS = {
    *("numpy", "pandas", "pyarrow", "scipy", "sklearn", "onnxruntime", "duckdb", "redis", "faststream", "fastapi"),
    *("evidently", "jinja2", "yaml", "rich.console", "pygments", "attr", "driftline.monitor", "driftline.console"),
}
"""What other commands need, or other models, or who asks for a document."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The modules that a server of the built-in model has loaded by its first answer, in order."""
    folder = tmp_path_factory.mktemp("serve")
    output, port = folder / "stderr", find_free_port()
    command = [sys.executable, "-X", "importtime", "-m", "driftline", "serve", "--port", str(port)]
    with output.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=environment(), cwd=folder, start_new_session=True)
    try:
        assert wait_until(lambda: predict(port), within_s=30) == http.client.OK
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    return [line.rpartition("|")[2].strip() for line in output.read_text().splitlines() if "|" in line]


def predict(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/predict", EXAMPLE, {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_server_of_the_built_in_model_loads_nothing_that_only_others_need(loaded: list[str]) -> None:
    assert {"driftline.api.server", "prometheus_client", "structlog"} <= set(loaded)
    assert OTHERS & set(loaded) == set()


def test_a_process_that_answers_is_forked_with_all_that_it_needs_but_the_model(loaded: list[str]) -> None:
    own = loaded[loaded.index("driftline.api.server") + 1 :]
    others = {name for name in own if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in others if not name.startswith("driftline.scoring.")} == set()
