"""Running programs, and keeping what they said for the case that something goes wrong."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LAST_WORDS_S = 5.0


class CommandError(Exception):
    """A program ended with something else than 0, or took too long."""


@dataclass(frozen=True)
class Done:
    """What came of a program.

    Attributes:
        code: Its exit code.
        out: What it wrote to stdout, without white space at the end.
        err: The same of stderr.
    """

    code: int
    out: str
    err: str


@dataclass
class Shell:
    """Runs programs one after the other, and writes them and what they say to a log.

    Attributes:
        log: The file; replaced when a new step begins.
        environment: What the programs get beside our own environment.
    """

    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    _running: "subprocess.Popen[str] | None" = None

    def run(
        self,
        *command: str | Path,
        stdin: str = "",
        cwd: Path | None = None,
        timeout_s: float = 300,
        quiet: bool = False,
    ) -> str:
        """What the program wrote to stdout.

        Raises:
            CommandError: It did not end with 0 in time.
        """
        done = self.attempt(*command, stdin=stdin, cwd=cwd, timeout_s=timeout_s, quiet=quiet)
        if done.code:
            last = (done.err or done.out).splitlines()[-1:] or ["it said nothing"]
            raise CommandError(f"{self._shown(command)}: exit code {done.code}: {last[0]}")
        return done.out

    def attempt(
        self,
        *command: str | Path,
        stdin: str = "",
        cwd: Path | None = None,
        timeout_s: float = 300,
        quiet: bool = False,
    ) -> Done:
        """What came of the program, whatever its exit code; ``quiet`` keeps its stdout out of the log.

        Raises:
            CommandError: It took too long and was killed, or is not there.
        """
        arguments = [str(argument) for argument in command]
        self._note(f"$ {shlex.join(arguments)}")
        try:
            process = subprocess.Popen(  # noqa: S603 - the commands are ours
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=self._environment(),
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(f"{self._shown(command)}: {error.strerror}") from error
        self._running = process
        late = False
        try:
            out, err = process.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            _end(process)
        if late:
            out, err = process.communicate(timeout=LAST_WORDS_S)
        self._note("" if quiet else out)
        self._note(err)
        if late:
            raise CommandError(f"{self._shown(command)}: no end after {timeout_s:g} s")
        return Done(process.returncode, out.rstrip(), err.rstrip())

    def end(self) -> None:
        """Ends what is running, if something is, with all that it has started."""
        if self._running is not None:
            _end(self._running)

    def start(self, *command: str | Path) -> "subprocess.Popen[bytes]":
        """The program, running in a session of its own; what it says goes to the log."""
        arguments = [str(argument) for argument in command]
        self._note(f"$ {shlex.join(arguments)} &")
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the commands are ours
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )

    def aside(self, log: Path, environment: Mapping[str, str] | None = None) -> "Shell":
        """Another shell like this one with a log of its own, for what runs meanwhile."""
        return Shell(log, {**self.environment, **(environment or {})})

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C.UTF-8", **self.environment}

    def _note(self, text: str) -> None:
        if text:
            with self.log.open("a") as log:
                log.write(text if text.endswith("\n") else f"{text}\n")

    @staticmethod
    def _shown(command: tuple[str | Path, ...]) -> str:
        words = shlex.join(str(word) for word in command[:4])
        return words if len(command) <= 4 else f"{words} ..."  # noqa: PLR2004


def _end(process: "subprocess.Popen[str]") -> None:
    """Ends a program and all that it has started: politely, so that it can tidy up, and then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + LAST_WORDS_S
        while _group_is_there(process) and time.monotonic() < deadline:
            time.sleep(0.05)


def _group_is_there(process: "subprocess.Popen[str]") -> bool:
    process.poll()  # or it stays as a zombie, and so does its group
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
