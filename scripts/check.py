"""``make test``: runs every check, goes on after a failure, and ends with a table of what took how long.

python scripts/check.py                 # everything
python scripts/check.py tests/outbox    # the arguments go to pytest, which then is all that runs

Many tests start real processes, and those can lose a race to a machine that others use as well. So up to three tests
that failed are asked once more, alone. A failure that repeats is a fault. One that does not fails nothing, for it would
cost a day's work of whoever did not cause it; but it is no pass: the table says ``UNSTEADY`` and names it, so that
somebody mends it. It may be a fault too, of the code, that shows only now and then. More than three are no accident.
"""

import compileall
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
UNKNOWN = os.EX_TEMPFAIL
TESTS_FAILED = 1  # and not: interrupted, no tests, wrong arguments
MOST_ASKED_AGAIN = 3


@dataclass(frozen=True)
class Step:
    """A check: what it is called in the table, and a program of the environment that ends with 0 if it holds.

    It may end with 75 to say that it could not be made, as without a network: that fails nothing and is no pass. One
    that waits for others most of its time runs beside the rest.
    """

    name: str
    command: tuple[str, ...]
    beside: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a step, its wall time in seconds, and the tests that failed and then, alone, did not."""

    name: str
    status: int
    took_s: float
    unsteady: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """How the table calls it."""
        if self.unsteady:
            return "UNSTEADY"
        return {0: "passed", UNKNOWN: "unknown"}.get(self.status, "FAILED")


STEPS = (
    Step("format", ("ruff", "format", "--check", "--quiet")),
    Step("lint", ("ruff", "check", "--quiet")),
    Step("types", ("mypy",)),
    Step("imports", ("lint-imports", "--no-logo")),
    Step("secrets", ("python", "scripts/leaks.py")),
    Step("audit", ("python", "scripts/audit.py"), beside=True),
    # They wait more than they work: four at a time. Those of a group share what takes seconds to import.
    Step("tests", ("pytest", "-n", "4", "--dist", "loadgroup", "-m", "not long")),
    Step("other Pythons", ("python", "scripts/pythons.py")),
)


def run(steps: tuple[Step, ...]) -> list[Outcome]:
    """What came of each step, in order; those beside the rest are told of at the end."""
    outcomes = []
    with ThreadPoolExecutor() as pool:
        apart = [(step, pool.submit(_done, step, output=subprocess.PIPE)) for step in steps if step.beside]
        for step in (step for step in steps if not step.beside):
            print(f"\n=== {step.name}", flush=True)
            outcomes.append(_tested(step) if step.command[0] == "pytest" else _done(step)[0])
        for step, running in apart:
            outcome, text = running.result()
            print(f"\n=== {step.name}\n{text}", flush=True)
            outcomes.append(outcome)
    return outcomes


def _done(step: Step, output: int | None = None) -> tuple[Outcome, str]:
    began = time.monotonic()
    program, *arguments = step.command
    errors = None if output is None else subprocess.STDOUT
    command = [str(BIN / program), *arguments]
    done = subprocess.run(command, check=False, stdout=output, stderr=errors, text=True)
    return Outcome(step.name, done.returncode, time.monotonic() - began), done.stdout or ""


def _tested(step: Step) -> Outcome:
    """What came of a step of pytest, the tests that failed having been asked again if they are few."""
    with TemporaryDirectory() as directory:
        noted = Path(directory) / "failed"
        plugin = ("-m", "pytest", "-p", "scripts.failed_tests", "--failed-to", str(noted))
        first = _done(Step(step.name, ("python", *plugin, *step.command[1:])))[0]
        failed = tuple(noted.read_text(encoding="utf-8").splitlines()) if noted.exists() else ()
    if first.status != TESTS_FAILED or not 0 < len(failed) <= MOST_ASKED_AGAIN:
        return first
    print(f"\n=== {step.name}: once more and alone, what failed", flush=True)
    again = _done(Step(step.name, ("python", "-m", "pytest", *failed)))[0]
    return Outcome(step.name, again.status, first.took_s + again.took_s, failed if again.status == 0 else ())


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as text, a line each, and below each the tests that are unsteady."""
    lines = [""]
    for outcome in outcomes:
        lines.append(f"{outcome.name:<16}{outcome.word:<8}{outcome.took_s:>7.1f} s")
        lines += [f"    {test}" for test in outcome.unsteady]
    return "\n".join(lines)


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
