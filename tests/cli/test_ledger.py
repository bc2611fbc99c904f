"""``driftline ledger``: its answer is its exit code too."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.cli.conftest import PROGRAM, Run, environment


def test_a_balanced_ledger_is_exit_code_0(run: Run, data: Path) -> None:
    finished = run("ledger", "--data", str(data))
    assert finished.returncode == 0
    numbers = {line[:12].strip(): int(line[12:].split()[0]) for line in finished.stdout.splitlines()}
    assert numbers == {
        "accepted": 3,
        "logged": 3,
        "in flight": 0,
        "quarantined": 0,
        "expired": 0,
        "missing": 0,
        "duplicated": 0,
    }


def test_a_log_that_was_tampered_with_is_exit_code_1(run: Run, data: Path) -> None:
    segment = next((data / "logs" / "segments").glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b'"probability":0.7', b'"probability":0.1', 1))
    finished = run("ledger", "--data", str(data), "--json")
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["balanced"] is False
    assert "bytes differ from what was committed" in run("ledger", "--data", str(data)).stdout


def test_a_backup_unpacked_by_tar_is_the_same_log(run: Run, data: Path, tmp_path: Path) -> None:
    archive = tmp_path / "log.tar"
    with archive.open("wb") as out:
        command = [str(PROGRAM), "log", "backup", "--data", str(data)]
        subprocess.run(command, check=True, stdout=out, env=environment())
    show = ("log", "show", "--json", "--data", str(data))
    before = json.loads(run(*show).stdout)
    shutil.rmtree(data / "logs")
    (data / "logs").mkdir()
    subprocess.run(["tar", "-x", "-C", str(data / "logs"), "-f", str(archive)], check=True)
    assert json.loads(run(*show).stdout) == before
    assert run("ledger", "--data", str(data)).returncode == 0
