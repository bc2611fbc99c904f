"""The served API against its own document: schemathesis draws requests, good and bad, and runs every check it has."""

import subprocess
import sys
from pathlib import Path

from driftline.api.keys import add_key
from tests.api.conftest import StartApi

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
SECONDS = 110


def test_every_answer_is_what_the_document_says_and_no_key_is_no_way_in(start_api: StartApi, tmp_path: Path) -> None:
    token = add_key(tmp_path / "keys.toml", "schemathesis")
    api = start_api(keys=tmp_path / "keys.toml")
    command = [str(SCHEMATHESIS), "run", f"http://127.0.0.1:{api.port}/openapi.json", "--checks", "all"]
    # That a tensor has as many elements as its shape says is nothing that a schema can say.
    command += ["--exclude-operation-id-regex", "^v2_infer"]
    command += ["--header", f"Authorization: Bearer {token}", "--max-examples", "20", "--seed", "4", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 selected / 17 total" in done.stdout
    assert "No issues found" in done.stdout
    assert "Traceback" not in api.log()
