"""A Docker engine for the test alone, with its own data, socket and process."""

import os
import signal
import time
from pathlib import Path

from deploy.e2e.commands import Done, Shell
from deploy.e2e.firewall import PROTOCOLS, Firewall
from deploy.e2e.steps import SetupError

START_S = 60
STOP_S = 60
ANOTHER_ENGINE = (
    "a Docker engine is running here already (process {pid}: {command}), and two engines would fight over the bridge "
    "and the firewall. If an earlier run of this test left it, end that process and remove its folder in /var/tmp; "
    "else use a machine without one, or let the test use that engine: DRIFTLINE_E2E_ENGINE=unix:///PATH"
)


class Engine:
    """Starts an engine, or takes the one that is given and leaves it running.

    Args:
        shell: Runs ``docker``.
        folder: For the engine's data, if it is ours; must be on a disk.
        given: Address of an engine to use instead.

    Attributes:
        ours: Whether the engine was started here, and is stopped here.
    """

    def __init__(self, shell: Shell, folder: Path, given: str | None) -> None:
        self._shell = shell
        self._folder = folder
        self.ours = given is None
        self._pid: int | None = None
        self._bridge_before = bridge().exists()
        self._firewall_before = {name: Firewall.now(shell, name) for name in PROTOCOLS} if self.ours else {}
        socket = given or f"unix://{folder}/docker.sock"
        # No configuration of this machine's own users takes part.
        shell.environment |= {"DOCKER_HOST": socket, "DOCKER_CONFIG": str(folder / "client"), "DOCKER_BUILDKIT": "1"}

    def start(self) -> str:
        """The engine's version, once it answers.

        Raises:
            SetupError: Another engine is running, or ours does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.ours:
            if pid := running_engine():
                raise SetupError(ANOTHER_ENGINE.format(pid=pid, command=_command(pid)))
            self._launch()
        for _ in range(START_S * 2):
            info = self._info()
            if info.code == 0:
                return info.out
            if self._pid is not None and not _alive(self._pid):
                break
            time.sleep(0.5)
        raise SetupError("the Docker engine does not answer; the log below says why")

    def stop(self) -> None:
        """Stops the engine if it is ours, and takes its network and its mounts away."""
        if self._pid is None:
            return
        if _alive(self._pid):
            os.kill(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while _alive(self._pid) and time.monotonic() < deadline:
            time.sleep(0.2)
        if _alive(self._pid):
            os.kill(self._pid, signal.SIGKILL)
        for mount in _mounts_below(self._folder):
            self._shell.attempt("umount", "--lazy", mount)
        if not self._bridge_before and bridge().exists():
            self._shell.attempt("ip", "link", "delete", "docker0")
        self._clear_firewall()

    def _launch(self) -> None:
        config = self._folder / "engine.json"
        config.write_text("{}")  # that of the machine, if it has one, is not for us
        command: list[str | Path] = ["dockerd", "--config-file", config, "--data-root", self._folder / "data"]
        command += ["--exec-root", self._folder / "run", "--pidfile", self._folder / "engine.pid"]
        command += ["--host", self._shell.environment["DOCKER_HOST"]]
        self._process = self._shell.start(*command)
        self._pid = self._process.pid

    def _info(self) -> Done:
        return self._shell.attempt("docker", "info", "--format", "{{.ServerVersion}}, {{.Driver}}")

    def _clear_firewall(self) -> None:
        """There was no engine before, so whatever names Docker and was not there then is its own."""
        for protocol, before in self._firewall_before.items():
            before.restore(self._shell, protocol)


def running_engine() -> int | None:
    """The process id of a Docker engine on this machine."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "comm").read_text().strip() == "dockerd":
                    return int(process.name)
            except OSError:
                continue
    return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return "it has just ended"


def bridge() -> Path:
    """Where the kernel shows the network bridge that every engine has."""
    return Path("/sys/class/net/docker0")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def _mounts_below(folder: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True)
