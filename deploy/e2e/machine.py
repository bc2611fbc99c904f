"""The clean machine: a container with systemd and sshd, and room for an engine of its own."""

import os
import shlex
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from deploy.e2e.commands import CommandError, Done, Shell
from deploy.e2e.steps import CheckError, SetupError

SSH_WITHIN_S = 60
API_PORT = 8000
USERS = ("deploy", "root")
"""Who can log in: one who needs sudo, and one who does not."""


@dataclass(frozen=True)
class Container:
    """A running container: which, and since when."""

    name: str
    identity: str
    started_at: str


class Machine:
    """Boots the clean machine, and asks it things.

    Args:
        shell: Runs ``docker`` and ``ssh``.
        image: What it boots.
        folder: For the key to log in with.

    Attributes:
        ssh_port: Where its sshd is to be found on this machine.
        url: Where its port 8000 is to be found on this machine.
        address: By which its containers reach it; known once it has booted.
        key: The file with the private key.
    """

    def __init__(self, shell: Shell, image: str, folder: Path) -> None:
        self._shell = shell
        self._image = image
        self.name = f"driftline-e2e-{os.getpid()}"
        self.ssh_port, self._http_port = free_port(), free_port()
        self.url = f"http://localhost:{self._http_port}"
        self.key = folder / "key"
        self.address = ""

    def boot(self) -> None:
        """Starts it and waits until one can log in.

        Raises:
            SetupError: One cannot.
        """
        self._shell.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        cgroups, init = _cgroups()
        self._shell.run(
            *("docker", "run", "--detach", "--name", self.name, "--hostname", "clean-machine"),
            *(*_capabilities(self._shell), *cgroups, "--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private"),
            *(option for name in ("seccomp", "apparmor", "systempaths") for option in _unconfined(name)),
            *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--volume", "/var/lib/docker"),
            *("--publish", f"127.0.0.1:{self.ssh_port}:22", "--publish", f"127.0.0.1:{self._http_port}:{API_PORT}"),
            *("--stop-signal", "SIGRTMIN+3", self._image, *init),
        )
        self.run("useradd --create-home --shell /bin/bash deploy")
        self.run("echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy")
        public = self.key.with_suffix(".pub").read_text()
        for home, user in (("/home/deploy", "deploy"), ("/root", "root")):
            self.run(f"install -d -m 700 -o {user} {home}/.ssh && cat >{home}/.ssh/authorized_keys", stdin=public)
            self.run(f"chown {user} {home}/.ssh/authorized_keys")
        self.address = self.run("hostname --all-ip-addresses").split()[0]
        for _ in range(SSH_WITHIN_S):
            if all(self._login(user) for user in USERS):
                return
            time.sleep(1)
        raise SetupError("the clean machine does not answer ssh")

    def reboot(self) -> None:
        """Shuts it down and boots it again."""
        self._shell.run("docker", "restart", "--time", "60", self.name)

    def remove(self) -> None:
        """Takes it away with all that is on it."""
        self._shell.attempt("docker", "rm", "--force", "--volumes", self.name)

    def run(self, script: str, stdin: str = "", *, quiet: bool = False) -> str:
        """What a shell script on the machine, as root, wrote to stdout.

        Raises:
            CommandError: It failed.
        """
        return self._shell.run(*self._in(script), stdin=stdin, quiet=quiet)

    def load_images(self, names: list[str]) -> None:
        """Brings images from the test's engine to its own.

        Raises:
            CommandError: They cannot be brought.
        """
        save = shlex.join(["docker", "save", *names])
        load = shlex.join(["docker", "exec", "--interactive", self.name, "docker", "load", "--quiet"])
        self._shell.run("bash", "-c", f"set -o pipefail; {save} | {load}", timeout_s=600)

    def attempt(self, script: str) -> Done:
        """What came of a shell script on the machine, as root."""
        return self._shell.attempt(*self._in(script))

    def containers(self) -> dict[str, Container]:
        """The containers that run on it, by name.

        Raises:
            CommandError: Its engine does not answer.
        """
        shown = "{{.Name}} {{.Id}} {{.State.StartedAt}}"
        lines = self.run(f"docker ps --quiet | xargs --no-run-if-empty docker inspect --format '{shown}'").splitlines()
        found = [Container(*line.removeprefix("/").split()) for line in lines]
        return {container.name: container for container in found}

    def answers(self, path: str) -> bool:
        """Whether its API answers a GET of ``path`` with 200."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=3) as answer:  # noqa: S310 - http, ours
                return int(answer.status) == 200  # noqa: PLR2004
        except (OSError, urllib.error.URLError):
            return False

    def wait_until_ready(self, within_s: float) -> float:
        """How many seconds it took until the API took predictions.

        Raises:
            CheckError: It does not, after ``within_s``.
        """
        began = time.monotonic()
        while not self.answers("/health/ready"):
            if time.monotonic() - began > within_s:
                raise CheckError(f"/health/ready does not answer 200 after {within_s:g} s")
            time.sleep(0.25)
        return time.monotonic() - began

    def diagnosis(self) -> str:
        """Its containers and their last lines, for somebody who has to find out what went wrong."""
        script = (
            "docker ps --all --format 'table {{.Names}}\\t{{.Status}}'; "
            'for c in $(docker ps --all --quiet); do echo; docker inspect --format "{{.Name}}:" $c; '
            "docker logs --tail 12 $c 2>&1; done"
        )
        try:
            return self.attempt(script).out
        except CommandError as error:
            return str(error)

    def _in(self, script: str) -> tuple[str, ...]:
        return ("docker", "exec", "--interactive", self.name, "bash", "-c", f"set -eo pipefail; {script}")

    def _login(self, user: str) -> bool:
        options = [f"-o{option}" for option in (*ssh_options(), "ConnectTimeout=3")]
        where = ("-i", self.key, "-p", str(self.ssh_port), f"{user}@127.0.0.1")
        return self._shell.attempt("ssh", *options, *where, "true").code == 0


def ssh_options() -> list[str]:
    """Options for a machine that is new each time."""
    return ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _unconfined(name: str) -> tuple[str, str]:
    return ("--security-opt", f"{name}=unconfined")


def _capabilities(shell: Shell) -> list[str]:
    """Every capability that there is to give: ``--privileged`` fails where we lack one ourselves."""
    known = shell.run("setpriv", "--list-caps").split()
    dump = shell.run("setpriv", "--dump").splitlines()
    ours = next(
        line.partition(":")[2].strip().split(",") for line in dump if line.startswith("Capability bounding set")
    )
    dropped = [option for name in known if name not in ours for option in ("--cap-drop", name.upper())]
    return ["--cap-add", "ALL", *dropped]


def _cgroups() -> tuple[list[str], list[str]]:
    """Options and the command with which systemd and an engine inside can have control groups."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return [], ["sh", "-c", "mount -o remount,rw /sys/fs/cgroup; exec /sbin/init"]
    # The older kind. systemd would mount controllers in pairs, which fails where the kernel has them apart; so they are
    # mounted first, as they are here. Debian 13's systemd has to be told to take them.
    mount = "mkdir -p /sys/fs/cgroup/$names && mount -t cgroup -o $names cgroup /sys/fs/cgroup/$names"
    each = f'while IFS=: read -r _ names _; do case $names in ""|name=*) ;; *) {mount} ;; esac; done </proc/self/cgroup'
    init = "exec /sbin/init SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
    return ["--tmpfs", "/sys/fs/cgroup:exec"], ["sh", "-c", f"{each}; {init}"]
