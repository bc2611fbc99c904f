"""A start with much in the outbox that a killed process left behind."""

import subprocess
import sys
from pathlib import Path

from crash_start import MB, fill, left_bytes
from tests.api.api_process import ApiProcess
from tests.waiting import wait_until

SIZE_BYTES = 20 * MB


def test_it_answers_while_nothing_of_what_it_found_is_drained_and_then_drains_it(tmp_path: Path) -> None:
    fill(tmp_path / "outbox", SIZE_BYTES)
    found = left_bytes(tmp_path / "outbox")
    api = ApiProcess(tmp_path, outbox_max_bytes=4 * SIZE_BYTES)
    try:
        api.wait_until_up()
        assert api.predict().status_code == 200
        assert left_bytes(tmp_path / "outbox") > found, "nobody drains without a worker"
        command = [sys.executable, "-m", "driftline", "worker", "--data", str(tmp_path), "--metrics-port", "0"]
        worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: left_bytes(tmp_path / "outbox") < MB, within_s=60)
            assert api.predict().status_code == 200
        finally:
            worker.terminate()
            worker.wait(20)
    finally:
        assert api.stop() == 0
