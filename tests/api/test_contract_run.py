"""The served API against its own document: schemathesis draws requests, good and bad, and runs every check it has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from driftline.api.keys import add_key
from driftline.contract import event_class
from driftline.contract.package import read_package
from tests.api.api_process import ApiProcess
from tests.api.conftest import StartApi
from tests.api.models import loan

ROOT = Path(__file__).resolve().parents[2]
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
SECONDS = 110


def run(api: ApiProcess, directory: Path, *arguments: str) -> str:
    """What schemathesis says of a server, which it finds no fault with."""
    command = [str(SCHEMATHESIS), "run", f"http://127.0.0.1:{api.port}/openapi.json", "--checks", "all"]
    command += ["--seed", "4", "--no-color", *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        timeout=SECONDS,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout, done.stdout
    assert "Traceback" not in api.log()
    return done.stdout


@pytest.mark.long
def test_every_answer_is_what_the_document_says_and_no_key_is_no_way_in(start_api: StartApi, tmp_path: Path) -> None:
    token = add_key(tmp_path / "keys.toml", "schemathesis")
    api = start_api(keys=tmp_path / "keys.toml")
    # That a tensor has as many elements as its shape says is nothing that a schema can say; and what a version is asked
    # for by its own path is what the model is asked for by its name.
    arguments = ["--exclude-operation-id-regex", "^v2_infer|^predict_2$", "--header", f"Authorization: Bearer {token}"]
    said = run(api, tmp_path, "--max-examples", "20", *arguments)
    assert "20 selected / 23 total" in said


@pytest.mark.long
def test_so_it_is_for_a_model_with_features_of_all_types(start_api: StartApi, tmp_path: Path) -> None:
    api = start_api(model=loan(tmp_path / "loan"))
    run(api, tmp_path, "--max-examples", "5", "--include-path", "/predict", "--include-path", "/feedback")
    samples = api.metrics()
    assert samples['driftline_requests_total{route="/predict",status="200"}'] > 5
    for code in ("out_of_range", "unknown_category", "wrong_type"):
        assert samples[f'driftline_events_refused_total{{reason="{code}"}}'] > 0, code
    described = event_class(read_package(tmp_path / "loan").schema)
    for event in api.events():
        if event["kind"] == "prediction":
            described.model_validate_json(json.dumps(event), strict=True)
