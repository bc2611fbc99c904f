"""Spin searches every state of the formal specification, and refutes it when a rule is taken away."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SPECIFICATION = Path(__file__).parents[2] / "docs" / "formal" / "acknowledgements.pml"
DEPTH = "-m200000"

ASSERTION, CYCLE = "assertion violated", "acceptance cycle"
MUTATIONS = {
    "LATEST": CYCLE,
    "LIFE": CYCLE,
    "RESEND": CYCLE,
    "REPEATED_PUBLISHING": CYCLE,
    "WHOLE_SEGMENTS": ASSERTION,
    "CUT": ASSERTION,
    "SEEN": ASSERTION,
}


def search(directory: Path, *defines: str, progress: bool) -> str:
    """Returns what Spin's verifier reports: with ``progress`` of both properties, else of safety alone."""
    for tool in ("spin", "gcc"):
        assert shutil.which(tool), f"{tool} is missing; Debian: sudo apt-get install -y spin gcc libc6-dev"
    _run(directory, "spin", "-a", *defines, str(SPECIFICATION))
    # A mutation is refuted sooner than it is optimized.
    level = "-O0" if any("WITHOUT" in define for define in defines) else "-O1"
    kind = ["-DNFAIR=3"] if progress else ["-DSAFETY", "-DNOCLAIM"]
    _run(directory, "gcc", level, "-w", "-o", "pan", "pan.c", *kind)
    report = _run(directory, "./pan", DEPTH, *(["-a", "-f"] if progress else ["-E"]))
    assert "max search depth too small" not in report
    return report


@pytest.mark.parametrize(("defines", "progress"), [("-DFAULTS=1", True), ("-DFAULTS=2", False)])
def test_the_protocol_keeps_its_properties_in_every_state(tmp_path: Path, defines: str, progress: bool) -> None:
    report = search(tmp_path, defines, progress=progress)
    assert "errors: 0" in report, report
    assert "Search not completed" not in report
    states = re.search(r"(\S+) states, stored", report)
    assert states is not None
    assert float(states[1]) > 50_000


@pytest.mark.parametrize(("rule", "how"), MUTATIONS.items())
def test_without_a_rule_it_is_refuted(tmp_path: Path, rule: str, how: str) -> None:
    report = search(tmp_path, "-DFAULTS=1", f"-DWITHOUT_{rule}", progress=True)
    assert "errors: 1" in report
    assert f"pan:1: {how}" in report


def test_every_mutation_of_the_specification_is_tried() -> None:
    assert set(re.findall(r"WITHOUT_([A-Z][A-Z_]+)$", SPECIFICATION.read_text(), re.MULTILINE)) == set(MUTATIONS)


def _run(directory: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
