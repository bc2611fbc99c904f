"""``mlserver infer``, which scores a file of requests; in an environment of its own, for it takes an older FastAPI."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import Serving, Trained

pytestmark = pytest.mark.timeout(120)

MLSERVER = os.environ.get("MLSERVER", ".venv-interop-mlserver/bin/mlserver")


def infer(serving: Serving, model: Trained, folder: Path, *options: str) -> list[dict[str, Any]]:
    """What the command writes, in the order of the rows: a request for each row, a line for each request."""
    requests = [
        {"inputs": [{"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}
        for row in model.rows.to_numpy().tolist()
    ]
    given, told = folder / "requests.jsonl", folder / "answers.jsonl"
    given.write_text("".join(f"{json.dumps(request)}\n" for request in requests))
    command = [
        MLSERVER,
        "infer",
        "-u",
        f"127.0.0.1:{serving.port}",
        "-m",
        model.name,
        "-i",
        str(given),
        "-o",
        str(told),
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in told.read_text().splitlines()]
    assert [answer for answer in answers if "error" in answer] == []
    return sorted(answers, key=lambda answer: answer["parameters"]["batch_index"])


def outputs(answers: list[dict[str, Any]], name: str) -> list[Any]:
    found = [output for answer in answers for output in answer["outputs"] if output["name"] == name]
    return [value for output in found for value in output["data"]]


@pytest.mark.parametrize("options", [(), ("-s", "8"), ("-s", "8", "-w", "3"), ("-b",)], ids=" ".join)
def test_a_file_of_requests_gets_what_the_library_gives(
    serving: Serving, tmp_path: Path, options: tuple[str, ...]
) -> None:
    model = serving.models["cancer"]
    answers = infer(serving, model, tmp_path, *options)
    assert len(answers) == len(model.rows)
    given = model.estimator.predict_proba(model.rows)[:, 1].tolist()
    assert outputs(answers, "probability") == pytest.approx(given, rel=1e-12)
    assert outputs(answers, "predicted_class") == model.estimator.predict(model.rows).tolist()
    assert len(set(outputs(answers, "request_id"))) == len(model.rows)


def test_so_does_one_for_a_number(serving: Serving, tmp_path: Path) -> None:
    model = serving.models["diabetes"]
    answers = infer(serving, model, tmp_path)
    assert outputs(answers, "prediction") == pytest.approx(model.estimator.predict(model.rows).tolist(), rel=1e-12)
