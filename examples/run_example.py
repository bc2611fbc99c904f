"""Runs an example from its table to its drift report: ``python examples/run_example.py penguins``.

Trains, makes a package, serves it, asks it about rows that the model has not seen, holds each answer against what the
library itself says, tells the outcomes, lets one feature drift, and has the report made.
"""

import argparse
import importlib
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from driftline.client import Client
from driftline.client.results import BinaryPrediction, MulticlassPrediction, RegressionPrediction
from driftline.errors import ClientError

HERE = Path(__file__).resolve().parent
ROWS = 300
UP_WITHIN_S = 60.0

Prediction = BinaryPrediction | MulticlassPrediction | RegressionPrediction


class Example(NamedTuple):
    """How an example's package is made, and what drifts.

    Attributes:
        artifact: What ``driftline model init`` is given.
        options: Further options of it.
        labels: What its classes are called, in the model's order; none for a regression.
        drifts: The feature that will be half as much again.
        tolerance: How far an answer may be from the library's, as a share of it; 0 is to the last bit.
    """

    artifact: str
    options: tuple[str, ...]
    labels: tuple[str | int, ...]
    drifts: str
    tolerance: float = 0.0


EXAMPLES: Mapping[str, Example] = {
    "breast_cancer": Example("model.skops", (), (0, 1), "mean radius", 1e-12),
    "wine": Example("model.onnx", (), (0, 1, 2), "alcohol", 1e-6),
    "penguins": Example("model.json", (), (0, 1, 2), "body_mass_g"),
    "diabetes": Example("model.skops", ("--trust", "sklearn.tree._tree.Tree"), (), "bmi"),
    "iris": Example("neighbours:Neighbours", ("--gives", "multiclass"), (0, 1, 2), "petal length (cm)"),
}


def run(name: str, directory: Path) -> None:
    """Runs one example in an empty directory; an AssertionError says where it is not as it should be."""
    example = EXAMPLES[name]
    importlib.import_module(f"{name}.train").train(directory)
    init = ["model", "init", example.artifact, "sample.csv", "--name", name, "--output-dir", "package"]
    init += ["--target", "outcome"]
    print(driftline(directory, *init, *example.options))
    print(driftline(directory, "model", "check", "package"))
    rows = [json.loads(line) for line in (directory / "requests.jsonl").read_text().splitlines()]
    answers, outcomes = (json.loads((directory / f"{each}.json").read_text()) for each in ("answers", "outcomes"))
    with served(directory) as client:
        ids = []
        for row, answer, outcome in zip(rows, answers, outcomes, strict=True):
            told = client.predict(row)
            check(told, answer, example)
            ids.append((told.request_id, outcome))
        for request_id, outcome in ids:
            client.feedback(request_id, outcome)
        batch = client.predict_batch(repeated(rows, ROWS - len(rows)))
        for number, told in enumerate(batch):
            check(told, answers[number % len(rows)], example)
        client.predict_batch([drifted(row, example.drifts) for row in repeated(rows, ROWS)])
    print(f"{len(rows) + len(batch)} answers are what the library gives")
    found = json.loads(driftline(directory, "report", "--model", "package", "--json"))
    columns = [column["name"] for column in found["columns"] if column["drifted"]]
    assert example.drifts in columns, columns
    print(f"drifted: {', '.join(columns)}; the report is {directory / 'report.html'}")


def check(told: Prediction, answer: Any, example: Example) -> None:
    """Raises AssertionError unless an answer is what the library gives."""
    match told:
        case BinaryPrediction():
            given, expected = [told.probability], [answer]
        case MulticlassPrediction():
            given, expected = [told.probabilities[str(label)] for label in example.labels], answer
        case RegressionPrediction():
            given, expected = [told.prediction], [answer]
    for one, other in zip(given, expected, strict=True):
        assert math.isclose(one, other, rel_tol=example.tolerance), (told, answer)


def repeated(rows: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Returns so many rows, from the first on and over again."""
    return [rows[number % len(rows)] for number in range(max(count, 1))]


def drifted(row: Mapping[str, Any], feature: str) -> dict[str, Any]:
    """Returns a row with one feature half as much again."""
    value = row[feature]
    return {**row, feature: None if value is None else value * 1.5}


def driftline(directory: Path, *arguments: str) -> str:
    """Returns what a command prints; its errors end the program."""
    done = subprocess.run(
        [sys.executable, "-m", "driftline", *arguments], cwd=directory, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


@contextmanager
def served(directory: Path) -> Iterator[Client]:
    """Serves the package while inside, and has all of it in the log at the end."""
    port = free_port()
    command = [sys.executable, "-m", "driftline", "up", "package", "--port", str(port)]
    for option in ("--metrics-port", "--console-port", "--monitor-metrics-port"):
        command += [option, "0"]
    with (directory / "up.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=output, env=dict(os.environ))
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            wait_for(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(client: Client, process: "subprocess.Popen[bytes]") -> None:
    """Returns when a server answers."""
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit("driftline has ended; see up.log")
        try:
            if client.health().ready:
                return
        except ClientError:
            pass
        time.sleep(0.1)
    raise SystemExit("driftline does not answer; see up.log")


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Runs the examples that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*EXAMPLES, []], help="which ones; all by default")
    parser.add_argument("--keep", type=Path, help="a folder for what is made; a temporary one by default")
    chosen = parser.parse_args()
    sys.path.insert(0, str(HERE))
    with tempfile.TemporaryDirectory() as temporary:
        for name in chosen.names or EXAMPLES:
            directory = (chosen.keep or Path(temporary)) / name
            directory.mkdir(parents=True)
            print(f"=== {name}", flush=True)
            run(name, directory)


if __name__ == "__main__":
    main()
