"""``driftline reference``: made of a file or of the log, shown, and compared."""

import json
import re
import shutil
from pathlib import Path

import pytest

from driftline.contract.package import seed_package
from driftline.drift.profile import decode_profile
from tests.cli.conftest import Run
from tests.monitor.logs import PredictionLog, events


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The folder in which ``ask`` runs, with a log of 600 predictions in its data folder."""
    with PredictionLog(tmp_path / "data" / "logs") as made:
        made.add(events(600))
    return tmp_path


def write_csv(path: Path, rows: int, columns: str = "feature_1,feature_2") -> None:
    found = events(rows, seed=3)
    lines = [f"{each['features']['feature_1']},{each['features']['feature_2']}" for each in found]
    path.write_text("\n".join([columns, *lines]) + "\n")


def test_of_the_first_rows_of_the_log(ask: Run, log: Path) -> None:
    finished = ask("reference", "build", "--first", "500")
    assert (finished.returncode, finished.stderr) == (0, "")
    profile = decode_profile((log / "data" / "reference.json").read_bytes())
    assert (profile.rows, profile.origin.first_row, profile.origin.stop_row) == (500, 0, 500)
    assert "500 rows" in finished.stdout
    assert "rows 0 to 500 of the log" in finished.stdout
    assert "from 2026-11-23T21:00:00.000000Z to 2026-11-23T21:08:19.000000Z" in finished.stdout
    assert "written to data/reference.json" in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (("--from-row", "100"), (100, 600)),
        (("--to-row", "300"), (0, 300)),
        (("--from-row", "100", "--to-row", "350"), (100, 350)),
        (("--from-row", "100", "--to-row", "9999"), (100, 600)),
        (("--first", "9999"), (0, 600)),
    ],
)
def test_of_a_range_of_the_log(ask: Run, log: Path, arguments: tuple[str, ...], rows: tuple[int, int]) -> None:
    assert ask("reference", "build", *arguments, "--output", "deep/other.json").returncode == 0
    profile = decode_profile((log / "deep" / "other.json").read_bytes())
    assert (profile.origin.first_row, profile.origin.stop_row) == rows
    assert profile.rows == rows[1] - rows[0]
    assert not (log / "data" / "reference.json").exists()


def test_of_a_file(ask: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "training.csv", 300)
    finished = ask("reference", "build", "training.csv")
    assert finished.returncode == 0
    assert "300 rows" in finished.stdout
    assert "of training.csv" in finished.stdout
    assert "the order of its rows is not known" in finished.stdout
    profile = decode_profile((tmp_path / "data" / "reference.json").read_bytes())
    assert [column.name for column in profile.columns] == ["feature_1", "feature_2"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("x.csv", "--first", "300"), ("--first", "300", "--from-row", "1"), ("--first", "300", "--to-row", "9")],
)
def test_what_contradicts_itself_is_exit_code_2(ask: Run, log: Path, arguments: tuple[str, ...]) -> None:
    finished = ask("reference", "build", *arguments)
    assert finished.returncode == 2
    assert not (log / "data" / "reference.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--first", "100"), r"needs 200 rows or more, and there are 100"),
        (("--from-row", "601"), r"needs 200 rows or more, and there are 0"),
        (("--from-row", "-5", "--to-row", "-1"), r"needs 200 rows or more"),
        (("nothing.csv",), "there is no file nothing.csv"),
        (("short.csv",), "needs 200 rows or more, and there are 20"),
        (("foreign.csv",), "foreign.csv lacks feature_1; it has a, feature_2"),
        (("--first", "300", "--output", "/proc/x/reference.json"), "cannot write /proc/x/reference.json"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_the_one_in_use(
    ask: Run, log: Path, arguments: tuple[str, ...], says: str
) -> None:
    write_csv(log / "short.csv", 20)
    write_csv(log / "foreign.csv", 300, "a,feature_2")
    assert ask("reference", "build", "--first", "400").returncode == 0
    before = (log / "data" / "reference.json").read_bytes()
    finished = ask("reference", "build", *arguments)
    assert finished.returncode == 3
    assert re.fullmatch(rf"driftline: .*{says}.* \(profile_invalid\)\n", finished.stderr)
    assert (log / "data" / "reference.json").read_bytes() == before


def test_without_a_log_there_are_no_rows_of_it(ask: Run) -> None:
    finished = ask("reference", "build", "--first", "500")
    assert (finished.returncode, "(log_not_found)" in finished.stderr) == (3, True)


def test_show_prints_what_build_printed_and_json_the_file(ask: Run, log: Path) -> None:
    built = ask("reference", "build", "--first", "500").stdout
    shown = ask("reference", "show")
    assert shown.stdout == built.replace("\nwritten to ", "\nin use: ")
    for name in ("feature_1", "feature_2", "probability", "predicted_class"):
        assert re.search(rf"^  {name} +\d+ bins, 0.0% missing", shown.stdout, re.MULTILINE)
    file = json.loads((log / "data" / "reference.json").read_text())
    assert json.loads(ask("reference", "show", "--json").stdout) == file


@pytest.mark.parametrize("command", [("show",), ("diff", "data/reference.json")])
def test_without_a_reference_that_is_said(ask: Run, command: tuple[str, ...]) -> None:
    finished = ask("reference", *command)
    assert finished.returncode == 3
    assert finished.stderr == (
        "driftline: cannot read the reference data/reference.json: No such file or directory (profile_invalid)\n"
    )


def test_where_there_is_none_the_packages_own_is_in_use(ask: Run, log: Path) -> None:
    package = Path(shutil.copytree(seed_package(), log / "package"))
    ask("reference", "build", "--first", "400", "--output", "package/reference.json")
    ask("reference", "build", "--first", "500", "--output", "other.json")
    shown = ask("reference", "show", "--model", str(package))
    assert "400 rows" in shown.stdout
    assert shown.stdout.endswith(f"in use: {package}/reference.json, the model package's own\n")
    assert ask("reference", "diff", "other.json", "--model", str(package)).returncode == 1
    replayed = ask("backtest", "--model", str(package), "--window-s", "60", DRIFTLINE_WINDOW_MIN_ROWS="50")
    assert ", 400 rows\n" in replayed.stdout
    ask("reference", "build", "--first", "500")
    assert "500 rows" in ask("reference", "show", "--model", str(package)).stdout


def test_a_damaged_reference_is_said(ask: Run, log: Path) -> None:
    ask("reference", "build", "--first", "500")
    path = log / "data" / "reference.json"
    path.write_bytes(path.read_bytes()[:-30])
    finished = ask("reference", "show")
    assert (finished.returncode, "it is no profile" in finished.stderr) == (3, True)


def test_diff_says_how_far_each_column_is_from_the_other(ask: Run, log: Path) -> None:
    ask("reference", "build", "--first", "500")
    with PredictionLog(log / "other" / "logs") as made:
        made.add(events(600, shift=1))
    ask("reference", "build", "--first", "500", "--data", "other")
    finished = ask("reference", "diff", "other/reference.json")
    assert finished.returncode == 1
    differing = {
        name: float(share)
        for name, share in re.findall(r"^  (\w+) +(\S+)% of the rows differ", finished.stdout, re.MULTILINE)
    }
    assert 30 < differing["feature_1"] < 45
    assert differing["feature_2"] == 0
    assert 30 < differing["probability"] < 45
    assert 30 < differing["predicted_class"] < 45
    assert ask("reference", "diff", "data/reference.json").returncode == 0


def test_diff_names_columns_that_only_one_has(ask: Run, log: Path) -> None:
    ask("reference", "build", "--first", "500")
    write_csv(log / "training.csv", 300)
    ask("reference", "build", "training.csv", "--output", "training.json")
    finished = ask("reference", "diff", "training.json")
    assert re.search(r"^  probability +only in use$", finished.stdout, re.MULTILINE)
    there = ask("reference", "diff", "data/reference.json", DRIFTLINE_REFERENCE="training.json")
    assert re.search(r"^  probability +only in the other$", there.stdout, re.MULTILINE)
