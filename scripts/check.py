"""``make test``: runs every check, goes on after a failure, and ends with a table of what took how long.

python scripts/check.py                 # everything
python scripts/check.py tests/outbox    # the arguments go to pytest, which then is all that runs
"""

import compileall
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
UNKNOWN = os.EX_TEMPFAIL


@dataclass(frozen=True)
class Step:
    """A check: what it is called in the table, and a program of the environment that ends with 0 if it holds.

    It may end with 75 to say that it could not be made, as without a network: that fails nothing and is no pass.
    """

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a step, and its wall time in seconds."""

    name: str
    status: int
    took_s: float

    @property
    def word(self) -> str:
        """How the table calls it."""
        return {0: "passed", UNKNOWN: "unknown"}.get(self.status, "FAILED")


STEPS = (
    Step("format", ("ruff", "format", "--check", "--quiet")),
    Step("lint", ("ruff", "check", "--quiet")),
    Step("types", ("mypy",)),
    Step("imports", ("lint-imports", "--no-logo")),
    Step("secrets", ("python", "scripts/leaks.py")),
    Step("audit", ("python", "scripts/audit.py")),
    # They wait more than they work: four at a time. Those of a group share what takes seconds to import.
    Step("tests", ("pytest", "-n", "4", "--dist", "loadgroup", "-m", "not long")),
    Step("other Pythons", ("python", "scripts/pythons.py")),
)


def run(steps: tuple[Step, ...]) -> list[Outcome]:
    """What came of each step, in order."""
    outcomes = []
    for step in steps:
        print(f"\n=== {step.name}", flush=True)
        began = time.monotonic()
        program, *arguments = step.command
        status = subprocess.run([str(BIN / program), *arguments], check=False).returncode
        outcomes.append(Outcome(step.name, status, time.monotonic() - began))
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as text, a line each."""
    lines = [f"{outcome.name:<16}{outcome.word:<8}{outcome.took_s:>7.1f} s" for outcome in outcomes]
    return "\n".join(["", *lines, f"{'':<24}{sum(outcome.took_s for outcome in outcomes):>7.1f} s"])


def main(pytest_arguments: list[str]) -> int:
    """The exit code: 0 if no step failed."""
    os.chdir(ROOT)
    # What the tests start (driftline, redis-server) is found in the environment even when it is not activated.
    os.environ["PATH"] = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    compileall.compile_dir(ROOT / "src", quiet=1)  # once, and not in each of the hundreds of processes that tests start
    steps = (Step("tests", ("pytest", *pytest_arguments)),) if pytest_arguments else STEPS
    outcomes = run(steps)
    print(table(outcomes))
    return int(any(outcome.word == "FAILED" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
