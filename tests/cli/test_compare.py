"""``driftline compare`` and ``driftline replay``, as their users see them."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftline.contract.checksum import with_checksum
from driftline.contract.package import seed_package
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.writer import LogWriter
from driftline.scoring.logistic import sigmoid
from tests.cli.conftest import Run

ROWS = 400
LOGISTIC = """
name = "seed"
version = "{version}"
output = "binary"
[[features]]
name = "feature_1"
type = "float"
{more}
[[features]]
name = "feature_2"
type = "float"
[artifact]
runtime = "logistic"
bias = {bias}
weights = {{ feature_1 = 0.8, feature_2 = -0.4 }}
"""


def package(directory: Path, version: str, bias: float = -0.3, more: str = "") -> Path:
    directory.mkdir(parents=True)
    (directory / "model.toml").write_text(LOGISTIC.format(version=version, bias=bias, more=more))
    return directory


def events(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Predictions of version 1, what version 2 said beside, which is nearer the truth, and half of the outcomes."""
    for number in range(ROWS):
        one, two = chance.uniform(-5, 5), chance.uniform(-5, 5)
        request_id = f"019ab2d1-6a3e-7c52-9f0e-{number:012x}"
        for kind, version, bias in (("prediction", "1", -0.3), ("shadow", "2", 1.5)):
            probability = sigmoid(bias + 0.8 * one - 0.4 * two)
            yield {
                "request_id": request_id,
                "features": {"feature_1": one, "feature_2": two},
                "probability": probability,
                "predicted_class": int(probability >= 0.5),
                "timestamp": "2026-11-23T10:00:00.000000Z",
                "schema_version": 1,
                "kind": kind,
                "model": "seed",
                "model_version": version,
            }
        if number % 2 == 0:
            outcome = int(chance.random() < sigmoid(1.5 + 0.8 * one - 0.4 * two))
            told = {"request_id": request_id, "outcome": outcome, "at": "2026-11-23T11:00:00.000000Z"}
            yield {**told, "timestamp": "2026-11-23T11:00:00.000000Z", "schema_version": 1, "kind": "feedback"}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "logs"
    writer = LogWriter(path, segment_max_bytes=100_000)
    assert writer.try_open()
    producer = "a" * 32
    for seq, event in enumerate(events(random.Random(7))):
        line = with_checksum(json.dumps({**event, "producer": producer, "seq": seq}).encode())
        writer.append(line + b"\n", 1, {producer: seq + 1})
    writer.close()
    return path


@pytest.mark.parametrize("compacted", [False, True])
def test_a_challenger_in_the_shadow_is_compared_on_the_same_requests(run: Run, logs: Path, compacted: bool) -> None:
    if compacted:
        compact_log(logs)
    found = run("compare", "--json")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert (told["challenger"], told["rows"], told["labelled"]) == ("2", ROWS, ROWS // 2)
    assert 0.5 < told["agreement"]["value"] < 0.95
    assert told["shift"]["low"] > 0
    assert told["measures"]["log loss"]["difference"]["high"] < 0


def test_the_table_says_who_is_better_and_how_sure_that_is(run: Run, logs: Path) -> None:
    found = run("compare", "2", "--champion", "1")
    assert found.returncode == 0, found.stderr
    assert "400 scored by both, the outcome of 200 of them known" in found.stdout
    assert "the challenger is better" in found.stdout


def test_a_candidate_is_scored_on_logged_traffic_before_it_serves(run: Run, logs: Path, tmp_path: Path) -> None:
    same = json.loads(run("replay", "--model", str(seed_package()), "--json").stdout)
    assert (same["rows"], same["refused"]) == (ROWS, 0)
    assert (same["agreement"]["value"], same["apart"]["at most"]) == (1.0, 0.0), "it is what was answered, to the bit"
    other = run("replay", "--model", str(package(tmp_path / "new", "9", bias=1.5)), "--json")
    assert other.returncode == 0, other.stderr
    found = json.loads(other.stdout)
    beside = json.loads(run("compare", "--json").stdout)
    assert found["challenger"] == "9"
    assert found["agreement"] == beside["agreement"]
    assert found["measures"]["log loss"]["challenger"] == pytest.approx(beside["measures"]["log loss"]["challenger"])


def test_rows_that_a_candidate_would_refuse_are_counted_and_named(run: Run, logs: Path, tmp_path: Path) -> None:
    narrow = package(tmp_path / "narrow", "3", more="range = [0, 10]")
    found = run("replay", "--model", str(narrow))
    assert found.returncode == 0, found.stderr
    assert "would have refused" in found.stdout
    assert "feature_1 must be from 0 to 10" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "7"], "version 7 of seed has not scored in the shadow; in the log: 2"),
        (["compare", "--champion", "7"], "version 7 of seed has not answered; in the log: 1"),
        (["compare", "--name", "churn"], "no version of churn has scored in the shadow"),
        (["replay", "--model", str(seed_package()), "--name", "churn"], "no prediction of churn in the log"),
    ],
)
def test_what_is_not_in_the_log_is_said(run: Run, logs: Path, arguments: list[str], message: str) -> None:
    found = run(*arguments)
    assert found.returncode == 3
    assert message in found.stderr


def test_what_the_log_does_not_have_cannot_be_replayed(run: Run, logs: Path, tmp_path: Path) -> None:
    dropped = package(tmp_path / "dropped", "3", more='log = "drop"')
    found = run("replay", "--model", str(dropped))
    assert found.returncode == 3
    assert "feature_1 cannot be scored again" in found.stderr


def test_another_model_of_the_folder_is_compared_by_what_it_gives_itself(run: Run, logs: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    package(models / "seed" / "1", "1")
    package(models / "seed" / "2", "2", bias=1.5)
    other = package(models / "other", "1") / "model.toml"
    number = other.read_text().replace('"seed"', '"other"').replace('"binary"', '"regression"')
    other.write_text(number.replace('"logistic"', '"linear"'))
    (models / "serving.toml").write_text('default = "other"\n[models.seed]\nversion = "1"\nshadow = ["2"]\n')
    found = run("compare", "--model", str(models), "--name", "seed", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["rows"] == ROWS
    found = run("compare", "--model", str(models), "--name", "sed")
    assert found.returncode == 3
    assert "did you mean seed?" in found.stderr
