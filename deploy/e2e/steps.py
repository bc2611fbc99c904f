"""The steps of the test: each prints its name and its seconds, and shows its log if it fails."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.e2e.commands import CommandError, Shell

PASSED = 0
CHECK_FAILED = 1
NOT_SET_UP = 2

LAST_LINES = 60


class CheckError(Exception):
    """Something is not as it has to be; the message says what."""


class SetupError(Exception):
    """The test cannot be made on this machine; the message says why, and what to do."""


class StepFailedError(Exception):
    """A step has failed and said so.

    Attributes:
        exit_code: What the whole test ends with.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


def ensure(condition: object, otherwise: str) -> None:
    """Does nothing if the condition holds.

    Raises:
        CheckError: It does not.
    """
    if not condition:
        raise CheckError(otherwise)


class Steps:
    """Goes through the test one step at a time.

    Args:
        logs: A folder for a log of each step.

    Attributes:
        shell: Runs programs; its log is that of the step in hand.
        passed: How many checks have passed.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._began = time.monotonic()
        self._count = 0
        self.passed = 0
        self.shell = Shell(logs / "begin.log")

    @contextmanager
    def preparation(self, name: str) -> Iterator[list[str]]:
        """A step without which nothing can be checked. What is added to the list is printed behind its name."""
        with self._step(name, NOT_SET_UP) as notes:
            yield notes

    @contextmanager
    def check(self, name: str) -> Iterator[list[str]]:
        """A step that checks something, as its name says. What is added to the list is printed behind it."""
        with self._step(name, CHECK_FAILED) as notes:
            yield notes
        self.passed += 1

    @property
    def seconds(self) -> float:
        """How long the test has been running."""
        return time.monotonic() - self._began

    def log_of(self, name: str) -> Path:
        """A new file for what ``name`` says."""
        self._count += 1
        words = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
        return self._logs / f"{self._count:02d}-{words[:40]}.log"

    @contextmanager
    def _step(self, name: str, exit_code: int) -> Iterator[list[str]]:
        self.shell.log = self.log_of(name)
        began, notes = time.monotonic(), list[str]()
        say(f"[{self.seconds:4.0f} s] {name} ", end="")
        try:
            yield notes
        except (CheckError, CommandError, SetupError) as error:
            say(f"- FAILED after {time.monotonic() - began:.1f} s\n  {error}")
            self._show_log()
            raise StepFailedError(NOT_SET_UP if isinstance(error, SetupError) else exit_code) from error
        except BaseException:
            say("- broken off")
            raise
        say(f"- {'; '.join([f'{time.monotonic() - began:.1f} s', *notes])}")

    def _show_log(self) -> None:
        if not self.shell.log.exists():
            return
        lines = self.shell.log.read_text(errors="replace").splitlines()
        say(f"--- last lines of {self.shell.log.name}")
        for line in lines[-LAST_LINES:]:
            say(f"  {line}")


def say(text: str, end: str = "\n") -> None:
    """Tells the person who waits."""
    sys.stdout.write(f"{text}{end}")
    sys.stdout.flush()
