"""What the page on protocols shows is what happens."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.api_process import ApiProcess

PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```bash\n(.+?)```\n\n```json\n(.+?)```", PAGE, re.DOTALL)
PROGRAMS = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = ApiProcess(tmp_path_factory.mktemp("protocols"))
    server.wait_until_up()
    yield f"localhost:{server.port}"
    server.stop()


def without_ids(text: str) -> Any:
    return json.loads(ID.sub("ID", text))


@pytest.mark.parametrize(("command", "answer"), SHOWN)
def test_each_command_is_answered_as_the_page_shows(address: str, command: str, answer: str) -> None:
    told = subprocess.run(
        ["bash", "-c", re.sub(r"(localhost|127\.0\.0\.1):8000", address, command)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert without_ids(told.stdout) == without_ids(answer)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_runs(address: str, program: str) -> None:
    command = [sys.executable, "-c", program.replace("localhost:8000", address)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert "0.76494" in told.stdout
