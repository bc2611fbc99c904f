"""The ``driftline`` command as a process, seen from outside."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from driftline.cli.main import main
from driftline.contract.package import seed_schema
from tests.waiting import wait_until

EXAMPLE = json.dumps(seed_schema().example)
PROGRAM = Path(sys.executable).parent / "driftline"
PORTS = ("--port", "--metrics-port", "--console-port", "--monitor-metrics-port")
NO_PORTS = tuple(word for name in PORTS for word in (name, "0"))
"""The API on any free port, and nothing else served."""


def environment(**variables: str) -> dict[str, str]:
    """Our environment without anything that would set Driftline, and with these variables."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DRIFTLINE_") and name not in {"REDIS_URL", "FORCE_COLOR"}
    }
    return {**inherited, "COLUMNS": "200", **variables}


class Run(Protocol):
    """The type of the ``run`` fixture."""

    def __call__(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]": ...


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs ``driftline`` with these arguments and variables, in an empty folder, to its end."""

    def run_to_the_end(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        command = [str(PROGRAM), *arguments]
        return subprocess.run(
            command,
            env=environment(**variables),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run_to_the_end


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """As ``run``, but in this process: ten times as fast, for commands that start and configure nothing."""

    def ask_here(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        for name in set(os.environ) - set(environment()):
            monkeypatch.delenv(name)
        for name, value in environment(**variables).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(PROGRAM), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(sys.argv, int(ended.value.code or 0), *capsys.readouterr())

    return ask_here


class Up:
    """A running ``driftline up``; what it prints is read as it comes."""

    def __init__(
        self, arguments: tuple[str, ...], variables: dict[str, str], folder: Path, program: Path = PROGRAM
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.process = subprocess.Popen(
            [str(program), "up", *arguments],
            env=environment(**variables),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    @property
    def api(self) -> str:
        """Where the API is, as the banner says; waits for that."""
        found = wait_until(lambda: re.search(r"API +(https?://\S+)/predict", self.output))
        assert found
        return found[1]

    def pid_of(self, name: str) -> int:
        """The process id of a child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(int(pid) for pid in children if name in Path(f"/proc/{pid}/cmdline").read_text().split("\0"))

    def signal(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends a signal to it alone, waits for its end, and returns its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Waits for its end, and returns its exit code."""
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=30)
        return code

    def end(self) -> None:
        """Leaves nothing behind: its children notice that it is gone."""
        self.process.kill()
        self.process.wait(timeout=60)
        self._reader.join(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()


class StartUp(Protocol):
    """The type of the ``start_up`` fixture."""

    def __call__(self, *arguments: str, **variables: str) -> Up: ...


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[StartUp]:
    """Starts ``driftline up`` in an empty folder on free ports, with these further arguments and variables."""
    started: list[Up] = []

    def start(*arguments: str, **variables: str) -> Up:
        up = Up((*NO_PORTS, *arguments), variables, tmp_path)
        started.append(up)
        return up

    yield start
    for up in started:
        up.end()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three predictions in its log, and nobody at work in it."""
    up = Up(NO_PORTS, {}, tmp_path_factory.mktemp("finished"))
    log = up.data / "logs" / "predictions.jsonl"
    try:
        for _ in range(3):
            request = urllib.request.Request(
                f"{up.api}/predict", EXAMPLE.encode(), {"content-type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        wait_until(lambda: log.read_bytes().count(b"\n") == 3)
        assert up.signal(signal.SIGTERM) == 0
    finally:
        up.end()
    return up.data


@pytest.fixture
def data(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to do harm to."""
    return Path(shutil.copytree(finished, tmp_path / "data", symlinks=True))
