"""``driftline compare`` and ``driftline replay``, as their users see them."""

import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator
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
    return written(tmp_path, events(random.Random(7)))


def answers(chance: random.Random, shares: dict[str, float], feedback: bool = True) -> Iterator[dict[str, Any]]:
    """The same requests, each answered by one version; no other scored it."""
    both = [event for event in events(chance) if feedback or event["kind"] != "feedback"]
    takes = dict(
        zip(
            dict.fromkeys(it["request_id"] for it in both),
            chance.choices([*shares], [*shares.values()], k=ROWS),
            strict=True,
        )
    )
    for event in both:
        version = takes[event["request_id"]]
        if event["kind"] == "feedback":
            yield event
        elif event["kind"] == ("shadow" if version == "2" else "prediction"):
            yield {**event, "kind": "prediction", "model_version": version}


def written(folder: Path, told: Iterable[dict[str, Any]]) -> Path:
    path = folder / "data" / "logs"
    writer = LogWriter(path, segment_max_bytes=100_000)
    assert writer.try_open()
    producer = "a" * 32
    for seq, event in enumerate(told):
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
    assert (told["champions"], told["paired"]) == (["1"], True)
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
    assert "Row 0" not in found.stdout


def test_what_is_wrong_with_the_fields_is_said_where_none_can_be_replayed(ask: Run, logs: Path, tmp_path: Path) -> None:
    other = package(tmp_path / "other", "3") / "model.toml"
    other.write_text(re.sub("feature_([12])", r"column_\1", other.read_text()))
    found = ask("replay", "--model", str(other.parent))
    assert found.returncode == 3
    assert "the candidate refuses all 400: the field column_1 must be a number, not null" in found.stderr
    assert "see errors" not in found.stderr


def test_a_pickle_is_replayed_only_with_the_flag(ask: Run, logs: Path, tmp_path: Path) -> None:
    folder = package(tmp_path / "pickled", "3")
    model = folder / "model.toml"
    artifact = b"no pickle"
    (folder / "model.pkl").write_bytes(artifact)
    table = f'[artifact]\nruntime = "pickle"\nfile = "model.pkl"\nsha256 = "{hashlib.sha256(artifact).hexdigest()}"\n'
    model.write_text(model.read_text().partition("[artifact]")[0] + table)
    assert "--allow-pickle" in ask("replay", "--model", str(folder)).stderr
    found = ask("replay", "--model", str(folder), "--allow-pickle")
    assert found.returncode == 3
    assert "--allow-pickle" not in found.stderr, "it was opened, and is no pickle"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["compare", "7"],
            "7 of seed has neither scored in the shadow nor answered; in the log: 1 (400 answered), 2 (400 scored in",
        ),
        (["compare", "1"], "version 1 of seed answered, and no other is there to compare it with"),
        (["compare", "--champion", "7"], "version 7 of seed has not answered; in the log: 1"),
        (["compare", "--name", "churn"], "there is no prediction of churn in the log, but of: seed; --model DIR"),
        (
            ["replay", "--model", str(seed_package()), "--name", "churn"],
            "there is no prediction of churn in the log, but of: seed; --model DIR",
        ),
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


def test_only_versions_that_are_in_the_pairs_are_champions(run: Run, tmp_path: Path) -> None:
    told = list(events(random.Random(7)))
    alone = {**told[0], "request_id": "019ab2d1-6a3e-7c52-9f0e-ffffffffffff", "model_version": "0"}
    written(tmp_path, [*told, alone])
    assert json.loads(run("compare", "--json").stdout)["champions"] == ["1"]
    assert "champion     1\n" in run("compare").stdout


@pytest.mark.parametrize("arguments", [[], ["2"], ["2", "--champion", "1"]], ids=" ".join)
def test_a_canary_is_compared_by_the_rows_that_each_has_answered(
    run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    written(tmp_path, answers(random.Random(7), {"1": 0.7, "2": 0.3}))
    found = run("compare", *arguments, "--json")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert (told["challenger"], told["champions"], told["paired"]) == ("2", ["1"], False)
    assert told["rows"]["champion"] + told["rows"]["challenger"] == ROWS
    assert told["rows"]["challenger"] < ROWS / 2
    assert sum(told["labelled"].values()) == ROWS // 2
    assert told["given"]["1"]["difference"]["low"] > 0, "the bias of version 2 is greater"
    accuracy = told["measures"]["accuracy"]
    assert accuracy["difference"]["value"] == pytest.approx(
        accuracy["challenger"]["value"] - accuracy["champion"]["value"]
    )


def test_a_comparison_of_other_rows_says_that_it_is_one(ask: Run, tmp_path: Path) -> None:
    written(tmp_path, answers(random.Random(7), {"1": 0.7, "2": 0.3}, feedback=False))
    found = ask("compare")
    assert found.returncode == 0, found.stderr
    assert "unpaired     these are not the same requests" in found.stdout
    assert "share of 1" in found.stdout
    assert "too few outcomes are known" in found.stdout


def test_of_three_versions_that_answered_the_challenger_is_to_be_named(run: Run, tmp_path: Path) -> None:
    written(tmp_path, answers(random.Random(7), {"1": 0.6, "2": 0.3, "3": 0.1}))
    found = run("compare")
    assert found.returncode == 3
    assert re.search(r"which VERSION of seed is the challenger\? In the log: 1 \(\d+ answered\), 2 \(", found.stderr)
    assert json.loads(run("compare", "3", "--json").stdout)["champions"] == ["1", "2"]
