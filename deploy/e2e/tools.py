"""What the test needs beside Python: programs from Debian packages, and Ansible in an environment of its own."""

import hashlib
import os
import shutil
from pathlib import Path

from deploy.e2e.commands import CommandError, Shell
from deploy.e2e.steps import SetupError

PROJECT = Path(__file__).resolve().parents[2]
ANSIBLE = PROJECT / ".venv-ansible"
LOCK = PROJECT / "requirements" / "ansible.txt"

PACKAGES = {
    "dockerd": ("docker.io", "iptables"),
    "docker": ("docker-cli", "docker-buildx"),
    "mmdebstrap": ("mmdebstrap", "debian-archive-keyring"),
    "ssh": ("openssh-client",),
    "curl": ("curl",),
    "ip": ("iproute2",),
    "iptables-save": ("iptables",),
}
"""Programs, and the packages they are in. Up to Debian 12 the client comes with the engine."""


def install_programs(shell: Shell) -> list[str]:
    """The packages that had to be installed.

    Raises:
        SetupError: They cannot be: we are not root, or this is not Debian.
    """
    # The distribution's own programs first: a client from elsewhere may not fit its engine.
    shell.environment["PATH"] = os.pathsep.join([str(ANSIBLE / "bin"), "/usr/sbin", "/usr/bin", os.environ["PATH"]])
    wanted = [package for program, packages in PACKAGES.items() if not _has(shell, program) for package in packages]
    if not wanted:
        return []
    if os.geteuid() or shutil.which("apt-get") is None:
        raise SetupError(f"needs root on Debian 12 or later, to install {', '.join(wanted)}")
    shell.run("apt-get", "update", "-qq")
    known = [
        package
        for package in dict.fromkeys(wanted)
        if shell.attempt("apt-cache", "show", package, quiet=True).code == 0
    ]
    # In the project's way, which starts none of their services.
    shell.run("sh", "-c", '. scripts/apt.sh && apt_install "$@"', "sh", *known, cwd=PROJECT, timeout_s=600)
    missing = [program for program in PACKAGES if not _has(shell, program)]
    if missing:
        raise SetupError(f"{', '.join(missing)} cannot be installed from Debian packages here")
    return known


def install_ansible(shell: Shell) -> str:
    """The version of Ansible, which is installed from its lock file unless that has been done.

    Raises:
        CommandError: It cannot be installed.
    """
    stamp = ANSIBLE / ".installed"
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != lock:
        shell.run("python3", "-m", "venv", "--clear", ANSIBLE)
        uv = PROJECT / ".venv" / "bin" / "uv"
        try:
            shell.run(uv, "pip", "sync", "--quiet", "--python", ANSIBLE / "bin" / "python", "--require-hashes", LOCK)
        except CommandError:  # uv does not read pip's settings: where only those know the way, pip goes
            shell.run(ANSIBLE / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK)
        stamp.write_text(lock)
    return shell.run("ansible-playbook", "--version").splitlines()[0]


def lint_playbook(shell: Shell) -> str:
    """What ansible-lint has to say of the playbook: nothing.

    Raises:
        CommandError: It has something to say.
    """
    playbook = PROJECT / "deploy" / "ansible"
    return shell.run("ansible-lint", "--offline", "--profile", "production", "-q", playbook, cwd=PROJECT)


def _has(shell: Shell, program: str) -> bool:
    return shutil.which(program, path=shell.environment["PATH"]) is not None
