"""``make test`` itself: what it calls passed, what failed, and what it did not look at."""

import os
import random
import shutil
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts import audit, check, leaks

WEAK = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
CLEAN = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


def test_what_could_not_be_audited_is_not_called_passed(capfd: pytest.CaptureFixture[str]) -> None:
    steps = (check.Step("a", ("python", "-c", "raise SystemExit(75)")), check.Step("b", ("python", "-c", "")))
    outcomes = check.run(steps)
    assert [outcome.word for outcome in outcomes] == ["unknown", "passed"]
    assert "unknown" in check.table(outcomes)
    capfd.readouterr()


def test_what_fails_is_called_failed(capfd: pytest.CaptureFixture[str]) -> None:
    [outcome] = check.run((check.Step("a", ("python", "-c", "raise SystemExit(1)")),))
    assert outcome.word == "FAILED"
    capfd.readouterr()


@pytest.mark.parametrize(
    ("packages", "exit_code"),
    [
        ([CLEAN], 0),
        ([CLEAN, WEAK], 1),
        ([CLEAN, UNKNOWN], os.EX_TEMPFAIL),
        ([CLEAN, UNKNOWN, WEAK], 1),
        ([], os.EX_TEMPFAIL),
    ],
)
def test_an_audit_passes_only_if_all_was_looked_up_and_clean(packages: list[dict[str, object]], exit_code: int) -> None:
    assert audit.read({"dependencies": packages}).exit_code == exit_code


def test_a_weakness_is_told_with_its_remedy() -> None:
    assert audit.read({"dependencies": [WEAK]}).weak == {"a 1: CVE-1, mended in 2"}


def test_every_pin_of_every_lock_is_asked_about_and_none_twice_at_once(tmp_path: Path) -> None:
    for name, text in (
        ("a", 'x==1 ; python_version < "3" \\\n    --hash=sha256:0\ny==2 \\\n'),
        ("b", "# z==1\nx==3\n"),
    ):
        (tmp_path / name).write_text(text)
    packages = audit.locked(sorted(tmp_path.iterdir()))
    assert packages == ["x==1", "x==3", "y==2"]
    assert audit.rounds(packages) == [["x==1", "y==2"], ["x==3"]]
    locks = sorted((audit.ROOT / "requirements").glob("*.txt"))
    assert len(audit.locked(locks)) > 100


def planted() -> list[str]:
    """Secrets of all kinds, made here: the scan would find them in this file. They are the same in each run."""
    draw = random.Random(20261125)
    word = "".join(draw.choices(string.ascii_letters + string.digits, k=43))
    hexadecimal = f"{draw.getrandbits(160):040x}"
    return [
        f"-----BEGIN PRIVATE {'KEY'}-----\n{'A' * 64}",
        f"driftline_{hexadecimal[:8]}_{word}",
        "AKIA" + "Z" * 16,
        "ghp_" + "a1" * 18,
        f"redis://:{word}@host:6379/0",
        f'password = "{word}"',
        f"API_KEY: '{hexadecimal}'",
    ]


@pytest.mark.parametrize("number", range(7))
def test_a_secret_is_found_with_its_line(number: int) -> None:
    text = f"first line\n{planted()[number]}\n"
    assert [line for line, _ in leaks.found_in(text)][:1] == [2]


def test_no_random_hexadecimal_is_taken_for_a_word() -> None:
    draw = random.Random(20261125)
    assert all(leaks.looks_random(f"{draw.getrandbits(160):040x}") for _ in range(1000))


@pytest.mark.parametrize(
    "text",
    [
        "redis://:password@host:6379/0",
        "redis://[user]:password@host:6379/0",
        'password = "correct horse battery"',
        'token = "test_what_could_not_be_audited"',
        "REDIS_PASSWORD: ${REDIS_PASSWORD:-}",
        "redis://:{word}@host:6379/0",
    ],
)
def test_an_example_is_none(text: str) -> None:
    assert list(leaks.found_in(text)) == []


def test_the_scan_reads_what_is_committed_with_git_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    with_git = set(leaks.committed())
    assert Path(__file__) in with_git
    monkeypatch.setenv("PATH", "")
    without = set(leaks.committed())
    assert Path(__file__) in without
    assert not any(".venv" in str(path) for path in without)


class Checked(NamedTuple):
    exit_code: int
    said: str
    table: list[str]


@pytest.fixture
def check_tests(tmp_path: Path) -> Callable[..., Checked]:
    """Has the script check a project of one file of tests, where it is given pytest's arguments."""

    def check_them(tests: str, *arguments: str) -> Checked:
        for script in ("check.py", "failed_tests.py"):
            (tmp_path / "scripts").mkdir(exist_ok=True)
            shutil.copy(check.ROOT / "scripts" / script, tmp_path / "scripts")
        (tmp_path / "src").mkdir()
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "test_it.py").write_text(tests)
        command = [sys.executable, "scripts/check.py", "-p", "no:cacheprovider", *arguments, "test_it.py"]
        quick = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # there are many, and two seconds go into them
        done = subprocess.run(
            command, cwd=tmp_path, env=quick, capture_output=True, text=True, check=False, timeout=100
        )
        said, _, last = done.stdout.rpartition("\n\n")
        return Checked(done.returncode, said, last.splitlines())

    return check_them


UNSTEADY = """
import pathlib
import pytest

@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("name", ["a b", "c@d"])
def test_that_loses_a_race_once(name):
    before = pathlib.Path(name)
    assert before.exists(), before.touch()

def test_that_holds(): pass
"""


def test_what_fails_and_then_does_not_is_named_and_fails_nothing(check_tests: Callable[..., Checked]) -> None:
    checked = check_tests(UNSTEADY, "-p", "xdist", "-n", "2", "--dist", "loadgroup")
    assert checked.exit_code == 0
    assert checked.table[0].split()[:2] == ["tests", "UNSTEADY"]
    names = {f"test_it.py::test_that_loses_a_race_once[{name}]" for name in ("a b", "c@d")}
    assert {line.strip() for line in checked.table[1:]} == names
    for told in ("AssertionError", "2 failed, 1 passed", "=== tests: once more and alone", "2 passed"):
        assert told in checked.said


@pytest.mark.parametrize(
    ("failing", "arguments", "times"),
    [(3, (), 2), (4, (), 1), (1, ("-x",), 1), (1, ("-k", "nothing"), 0)],
)
def test_what_fails_again_or_is_much_or_not_all_is_failed(
    check_tests: Callable[..., Checked], failing: int, arguments: tuple[str, ...], times: int
) -> None:
    tests = [f"def test_{number}():\n    assert False, 'as ever'\n" for number in range(failing)]
    checked = check_tests("".join(tests), *arguments)
    assert checked.exit_code == 1
    assert checked.table[0].split()[:2] == ["tests", "FAILED"]
    assert checked.said.count(f"{failing} failed") == times
    assert len(checked.table) == 1


def test_what_waits_runs_beside_the_rest_and_is_told_of_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    steps = (
        check.Step("waits", ("python", "-c", "print('found'); raise SystemExit(1)"), beside=True),
        check.Step("works", ("python", "-c", "print('working')")),
    )
    outcomes = check.run(steps)
    assert [(outcome.name, outcome.word) for outcome in outcomes] == [("works", "passed"), ("waits", "FAILED")]
    said = capfd.readouterr().out
    assert said.index("=== works") < said.index("working") < said.index("=== waits") < said.index("found")
