"""What a run needs around it, as real processes: a Redis, and a Driftline that supervises itself."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

Role = Literal["api", "worker"]

ROLES: tuple[Role, ...] = ("api", "worker")
START_S = 30.0
STOP_S = 30.0
POLL_S = 0.05
_COMMANDS: dict[str, Role] = {"serve": "api", "worker": "worker"}


def wait_for(what: str, condition: Callable[[], bool], within_s: float) -> None:
    """Returns when the condition is true.

    Raises:
        TimeoutError: It was not, within that time; the message says what was waited for.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s:.0f} s in vain for {what}")
        time.sleep(POLL_S)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def installed(*programs: str) -> str:
    """The path of the first of these programs that lies beside this Python or on PATH.

    Raises:
        FileNotFoundError: None of them does.
    """
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    paths = (shutil.which(program, path=places) for program in programs)
    path = next(filter(None, paths), None)
    if path is None:
        raise FileNotFoundError(f"{' or '.join(programs)} is not installed")
    return path


def inherited() -> dict[str, str]:
    """Our environment, without what would set a Driftline, or lead it to a Redis."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("DRIFTLINE_", "REDIS_URL"))}


def tree(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that it started."""
    return [process, *process.children(recursive=True)]


def used_s(process: psutil.Process) -> float:
    """Processor seconds, user and system, of a process, its descendants, and those of them that have ended."""
    used = 0.0
    for each in tree(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


class Redis:
    """A Redis with an append-only file, on a port of its own, that can be killed and started again."""

    PROGRAMS = ("redis-server", "valkey-server")

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address for ``--broker``."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Returns when it accepts connections."""
        self._directory.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        options += ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([installed(*Redis.PROGRAMS), *options], stdout=log, stderr=log)
        wait_for("redis-server", self._accepts, START_S)

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def kill(self) -> None:
        """``kill -9``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Driftline:
    """``driftline up`` on a fresh data directory and a free port.

    Args:
        directory: For its data and its output.
        broker: Address of a Redis; ``None`` runs it embedded.
    """

    def __init__(self, directory: Path, broker: str | None) -> None:
        self.data = directory / "data"
        self.output = directory / "driftline.log"
        self._port = free_port()
        self._broker = broker
        self._process: subprocess.Popen[bytes] | None = None
        self._cpu_s: dict[int, tuple[Role, float]] = {}
        self._start_cpu_s: dict[Role, float] = {}

    @property
    def url(self) -> str:
        """Where its API listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Returns when it says that it is ready."""
        self.data.mkdir(parents=True)
        command = [installed("driftline"), "up", "--data", str(self.data)]
        command += ["--port", str(self._port), "--metrics-port", str(free_port())]
        command += ["--console-port", "0", "--monitor-metrics-port", "0"]
        command += ["--broker", self._broker] if self._broker else []
        with self.output.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(f"{self.url}/health; its output is in {self.output}", self._is_ready, START_S)
        wait_for("the worker's process", lambda: self._process_of("worker") is not None, START_S)
        self.sample()
        self._start_cpu_s = {role: self.cpu_s(role) for role in ROLES}

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                return True
        except (urllib.error.URLError, TimeoutError):
            return False

    def kill_worker(self) -> None:
        """``kill -9`` of the log worker; returns when its supervisor has started another one."""
        self.sample()
        victim = self._process_of("worker")
        assert victim is not None
        victim.kill()
        wait_for("a new worker", lambda: self._process_of("worker") not in (None, victim), START_S)

    def _process_of(self, role: Role) -> psutil.Process | None:
        return next((child for child in self._children() if _role_of(child) == role), None)

    def _children(self) -> list[psutil.Process]:
        assert self._process is not None
        children: list[psutil.Process] = psutil.Process(self._process.pid).children()
        return children

    def sample(self) -> None:
        """Notes the processor time used so far; what a process used after its last sample is not counted."""
        for child in self._children():
            role = _role_of(child)
            if role is None:
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (child, *child.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        used = process.cpu_times()
                        self._cpu_s[process.pid] = (role, used.user + used.system)

    def cpu_s(self, role: Role) -> float:
        """Processor seconds that this role's processes used from when they were ready to when last sampled."""
        used = sum(seconds for owner, seconds in self._cpu_s.values() if owner == role)
        return used - self._start_cpu_s.get(role, 0.0)

    def run(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Runs one of its commands on its data, and returns when it has ended."""
        return subprocess.run(
            [installed("driftline"), command, "--data", str(self.data), *options],
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self) -> int:
        """Ends it as Ctrl-C does and returns its exit code; fine to call twice."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()
            return -signal.SIGKILL


def _role_of(process: psutil.Process) -> Role | None:
    with contextlib.suppress(psutil.Error):
        for word in process.cmdline():
            if word in _COMMANDS:
                return _COMMANDS[word]
    return None
