"""The README's model of one's own: its lines of Python, and its first command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_model_of_the_readme_is_trained_and_becomes_a_package(tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, check=True, timeout=60)
    [init] = re.findall(r"^\.venv/bin/driftline (model init .*)$", README, re.MULTILINE)
    [up] = re.findall(r"^\.venv/bin/driftline up (\w+)$", README, re.MULTILINE)
    for command in (init.split(), ["model", "check", up]):
        done = subprocess.run(
            [sys.executable, "-m", "driftline", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
