"""The examples, each from its training to its drift report, as their readers run them."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/train.py"))


def test_there_is_one_of_each_kind() -> None:
    assert NAMES == ["breast_cancer", "diabetes", "iris", "penguins", "wine"]
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"[{name}]({name}/train.py)" in page for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_answered_as_the_library_answers_and_its_drift_is_found(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "run_example.py"), name, "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "300 answers are what the library gives" in done.stdout
    assert (tmp_path / name / "report.html").stat().st_size > 100_000
