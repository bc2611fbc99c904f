import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_finished_installation_is_well(ask: Run, data: Path) -> None:
    finished = ask("doctor")
    assert finished.returncode == 0
    assert finished.stdout.splitlines()[-1] == "no problems, 1 warning"
    assert "3 accepted = 3 logged" in finished.stdout
    assert "accepted" not in ask("doctor", "--quick").stdout


def test_a_problem_is_exit_code_1_with_its_remedy_in_json_too(ask: Run, data: Path) -> None:
    (data / "logs" / "segments" / "00000001.jsonl").unlink()
    finished = ask("doctor", "--json")
    assert finished.returncode == 1
    found = json.loads(finished.stdout)
    problems = [finding for finding in found["findings"] if finding["level"] == "problem"]
    assert found["problems"] == len(problems) > 0
    assert all(finding["remedy"] for finding in problems)
    text = ask("doctor", "--quick").stdout
    assert "  -> " in text
