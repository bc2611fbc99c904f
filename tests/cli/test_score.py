"""``driftline score``: the rows of a file as a server would score them, all of them or none."""

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from driftline.contract.package import seed_package
from driftline.scoring import load_package
from driftline.scoring.logistic import LogisticModel
from tests.cli.conftest import Run, StartUp
from tests.waiting import wait_until

ROWS = 5000
"""More than are scored in one go."""


def values(at: int) -> tuple[float, float]:
    return at / 1000 - 5, (at % 7) / 2


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A CSV file, with a column that is no feature of the seed's model."""
    path = tmp_path / "rows.csv"
    lines = [f"{values(at)[1]},x,{values(at)[0]}" for at in range(ROWS)]
    path.write_text("\n".join(["feature_2,id,feature_1", *lines]) + "\n")
    return path


def expected() -> list[float]:
    _, model = load_package(seed_package())
    return [model.score_row(values(at)) for at in range(ROWS)]  # type: ignore[misc]  # of two classes


def read(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * FROM '{path}'")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_stdout_has_a_line_for_each_row_in_their_order(run: Run, rows: Path) -> None:
    finished = run("score", "rows.csv")
    assert finished.returncode == 0
    found = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [row["probability"] for row in found] == expected()
    assert all(row["predicted_class"] == (row["probability"] >= 0.5) for row in found)
    assert finished.stderr == "left out, for the model has no such feature: id\n"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_each_format_has_the_same_numbers(ask: Run, rows: Path, tmp_path: Path, suffix: str) -> None:
    finished = ask("score", "rows.csv", "--output", f"it's.{suffix}")
    assert finished.stdout == f"5,000 rows scored, written to it's.{suffix}\n"
    found = read((tmp_path / f"it's.{suffix}").rename(tmp_path / f"moved.{suffix}"))
    assert [row["probability"] for row in found] == expected()
    assert list(found[0]) == ["probability", "predicted_class"]
    assert {type(row["predicted_class"]) for row in found} == {int}
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"moved.{suffix}", "rows.csv"]


def test_parquet_and_jsonl_are_read_too(ask: Run, rows: Path, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        for suffix in ("parquet", "jsonl"):
            target = tmp_path / f"rows.{suffix}"
            connection.execute(f"COPY (SELECT * FROM '{rows}') TO '{target}'")
            assert ask("score", target.name, "--output", "out.jsonl").returncode == 0
            assert [row["probability"] for row in read(tmp_path / "out.jsonl")] == expected()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("abc,x,1", "row 5,001: the field feature_2 must be a number, not a string."),
        (",x,1", "row 5,001: the field feature_2 must be a number, not null."),
        ("1,x,1e999", "row 5,001: the field feature_1 must be finite."),
        ("1,x", "line 5002 has 2 fields, its header 3"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(ask: Run, rows: Path, tmp_path: Path, line: str, says: str) -> None:
    with rows.open("a") as file:
        file.write(line + "\n")
    (tmp_path / "out.csv").write_text("as it was")
    finished = ask("score", "rows.csv", "--output", "out.csv")
    assert (finished.returncode, says in finished.stderr, finished.stdout) == (3, True, "")
    assert finished.stderr.endswith("(table_invalid)\n")
    assert (tmp_path / "out.csv").read_text() == "as it was"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rows.csv", "--output", "out.xlsx"), "out.xlsx does not end in one of .jsonl, .ndjson, .csv, .parquet"),
        (("foreign.csv",), "foreign.csv lacks feature_2; did you mean feature_22?; it has feature_1, feature_22"),
        (("nothing.csv",), "nothing.csv cannot be read: No such file or directory"),
        (("rows.csv", "--output", "none/out.csv"), "cannot write none/out.csv: No such file or directory"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_scored(
    ask: Run, rows: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    def score(_: object, __: object) -> list[float]:
        raise AssertionError("it is scored")

    monkeypatch.setattr(LogisticModel, "score", score)
    (rows.parent / "foreign.csv").write_text("feature_1,feature_22\n1,2\n")
    finished = ask("score", *arguments)
    assert (finished.returncode, says in finished.stderr) == (3, True)


def test_a_bad_row_is_refused_before_any_is_kept(run: Run, rows: Path) -> None:
    with rows.open("a") as file:
        file.write("abc,x,1\n")
    finished = run("score", "rows.csv", "--output", "out.csv", "--log")
    assert (finished.returncode, "row 5,001: the field feature_2" in finished.stderr) == (3, True)
    assert sorted(path.name for path in rows.parent.iterdir()) == ["rows.csv"]


def test_logged_predictions_are_in_the_log_under_their_ids(run: Run, rows: Path, start_up: StartUp) -> None:
    finished = run("score", "rows.csv", "--output", "out.jsonl", "--log")
    assert finished.returncode == 0
    assert "5,000 predictions are kept in data" in finished.stderr
    up = start_up()
    log = up.data / "logs" / "predictions.jsonl"
    wait_until(lambda: log.read_bytes().count(b"\n") == ROWS)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [{name: event[name] for name in ("request_id", "probability", "predicted_class")} for event in events] == [
        json.loads(line) for line in (rows.parent / "out.jsonl").read_text().splitlines()
    ]
    assert [event["features"]["feature_1"] for event in events] == [values(at)[0] for at in range(ROWS)]
    assert {(event["model"], event["kind"], event["trace_id"]) for event in events} == {("seed", "prediction", None)}


def test_labels_are_told_as_text(ask: Run, tmp_path: Path) -> None:
    package = Path(shutil.copytree(seed_package(), tmp_path / "package"))
    text = (package / "model.toml").read_text()
    (package / "model.toml").write_text(text.replace("threshold = 0.5", 'labels = ["it\'s", "not"]'))
    (tmp_path / "a.csv").write_text("feature_1,feature_2\n1.5,-0.7\n")
    assert ask("score", "a.csv", "--model", "package", "--output", "a.parquet").returncode == 0
    assert read(tmp_path / "a.parquet") == [{"probability": 0.7649478037637648, "predicted_class": "not"}]
