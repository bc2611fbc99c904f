"""``driftline report``: the table, the files, the exit codes."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from driftline.contract.package import seed_package
from driftline.eventlog.reader import LogReader
from tests.cli.conftest import Run
from tests.report.events import SD, at, events, traffic, write_log

pytestmark = pytest.mark.long

SHIFTED = 300


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in whose log feature_1 moves."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_log(folder / "logs", traffic(600, shift_after=SHIFTED, shift_by=1.5 * SD))
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """A browser that only writes down what it is to open."""
    program = tmp_path / "browser.sh"
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.usefixtures("data")
def test_drift_is_in_the_table_in_the_files_in_the_browser_and_in_the_exit_code(
    run: Run, tmp_path: Path, browser: Path
) -> None:
    arguments = ("--output", "page.html", "--json-output", "report.json", "--fail-on-drift", "--open")
    finished = run("report", *arguments, BROWSER=f"{browser} %s")
    assert finished.returncode == 1
    assert finished.stderr == ""
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("reference  the first 200 predictions of the log; rows 1 to 200; ")
    assert lines[1].startswith("current    the last 200 predictions of the log; rows 401 to 600; ")
    rows = {line.split()[0]: line for line in lines if "p_value" in line}
    assert list(rows) == ["feature_1", "feature_2", "probability", "predicted_class"]
    assert re.fullmatch(r"feature_1 +K-S p_value +\S+e-\d+ +below 0\.05 +drifted *", rows["feature_1"])
    assert re.fullmatch(r"feature_2 +K-S p_value +0\.\d+ +below 0\.05 +not drifted *", rows["feature_2"])
    assert lines[-2:] == ["Drift: 3 of 4 columns drifted (75%; drift means 50% or more).", "page: page.html"]
    assert "\x1b" not in finished.stdout
    assert json.loads((tmp_path / "report.json").read_text())["drifted"][0] == "feature_1"
    page = tmp_path / "page.html"
    assert lines[-2] in page.read_text(encoding="utf-8")
    assert (tmp_path / "opened").read_text() == f"{page.as_uri()}\n"
    assert not (tmp_path / "report.html").exists()


def test_a_feature_that_cannot_be_read_is_not_called_free_of_drift(run: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "data" / "logs", traffic(400))
    with LogReader(tmp_path / "data" / "logs") as log:
        rows = [json.loads(line) for line in log.lines(0, 200)]
    rows[7]["features"]["feature_1"] = "x"
    (tmp_path / "reference.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    finished = run("report", "--reference-file", "reference.jsonl", "--fail-on-drift")
    assert "No drift" in finished.stdout
    assert finished.returncode == 3
    assert "whether there is drift is not known: feature_1 could not be compared" in finished.stderr
    assert run("report", "--reference-file", "reference.jsonl").returncode == 0


def test_json_is_all_there_is_on_stdout_and_a_file_may_be_the_reference(run: Run, tmp_path: Path, data: Path) -> None:
    reference = tmp_path / "reference.jsonl"
    reference.write_bytes(b"".join(line + b"\n" for line in traffic(100, seed=8)))
    finished = run("report", "--json", "--reference-file", str(reference), "--open", DISPLAY="", BROWSER="")
    assert finished.returncode == 0
    found = json.loads(finished.stdout)
    assert found["drift"] is True
    assert (found["reference"]["file"], found["reference"]["rows"]) == (str(reference), 100)
    page = tmp_path / "report.html"
    assert page.exists()
    assert finished.stderr == f"no browser could be opened here; the page is {page.as_uri()}\n"
    assert sorted(os.listdir(data)) == ["logs"]


def test_too_few_rows_are_exit_code_3_and_name_both_numbers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_log(tmp_path / "data" / "logs", events(41))
    finished = run("report", "--fail-on-drift")
    assert finished.returncode == 3
    assert re.fullmatch(
        r"driftline: the log has 41 predictions; .* at least 60, .* \(not_enough_rows\)\n", finished.stderr
    )
    assert not (tmp_path / "report.html").exists()


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--reference-from", "yesterday"), "'yesterday' is not a time as in"),
        (("--reference-to", "2026-11-23T21:00:00"), "is not a time as in"),
        (("--reference-from", at(0).isoformat()), "has no end"),
        (("--reference-to", at(10).isoformat(), "--current-from", at(9).isoformat()), "overlap"),
        (("--current-from", at(9).isoformat(), "--current-to", at(9).isoformat()), "empty"),
        (("--reference-rows", "29"), "29 rows for the reference are too few; 30 is the least"),
        (("--current-rows", "many"), "valid integer"),
        (("--reference-file", "x.csv", "--reference-to", at(10).isoformat()), "not from both"),
    ],
)
def test_options_that_cannot_be_are_exit_code_2(run: Run, arguments: tuple[str, ...], says: str) -> None:
    finished = run("report", *arguments)
    assert finished.returncode == 2
    assert says in " ".join(finished.stderr.replace("│", " ").split())


@pytest.mark.usefixtures("data")
def test_a_reference_file_that_cannot_be_used_is_exit_code_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "reference.csv").write_text("feature_2\n1\n")
    finished = run("report", "--reference-file", "reference.csv")
    assert finished.returncode == 3
    assert finished.stderr == (
        "driftline: the reference file reference.csv lacks feature_1; it has feature_2 (reference_invalid)\n"
    )


@pytest.mark.usefixtures("data")
def test_of_a_folder_of_models_the_default_is_reported(run: Run, tmp_path: Path) -> None:
    shutil.copytree(seed_package(), tmp_path / "models" / "seed")
    finished = run("report", "--model", "models")
    assert finished.returncode == 0, finished.stderr
    assert "page: report.html" in finished.stdout
