"""Running the playbook as an operator would: from this machine, over ssh."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.e2e.commands import CommandError, Shell
from deploy.e2e.machine import Machine, ssh_options
from deploy.e2e.steps import CheckError

TIMEOUT_S = 420
MESSAGE = re.compile(r"^\[ERROR\]: (?:Task failed: |Action failed: )*(.+?)^Origin: ", re.MULTILINE | re.DOTALL)
RECAP = re.compile(r"^clean-machine\s*:.*\bchanged=(\d+).*\bfailed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """What came of a run of the playbook: how many tasks changed something, and all it printed."""

    changed: int
    output: str


class Playbook:
    """Deploys to the clean machine.

    Args:
        shell: Runs ``ansible-playbook``, which has to be on its PATH.
        machine: Where to.
        folder: The playbook's.
        work: For the inventory, and for what Ansible keeps.
        environment: The variable ``driftline_env`` of each run.
    """

    def __init__(self, shell: Shell, machine: Machine, folder: Path, work: Path, environment: dict[str, Any]) -> None:
        self._shell = shell
        self._machine = machine
        self._folder = folder
        self._work = work
        self._always: dict[str, Any] = {
            "driftline_bind": "0.0.0.0",  # noqa: S104 - seen from outside the machine
            "driftline_auth": "none",
            "driftline_env": environment,
        }

    def run(self, *arguments: str, user: str = "deploy", **variables: Any) -> Played:
        """A run that has to succeed.

        Raises:
            CheckError: It failed.
        """
        code, played = self._run(arguments, user, variables)
        if code:
            raise CheckError(f"the playbook failed with exit code {code}")
        return played

    def refused(self, *arguments: str, user: str = "deploy", **variables: Any) -> str:
        """The one message of a run that has to fail.

        Raises:
            CheckError: It succeeded, or has said nothing or more than one thing.
        """
        code, played = self._run(arguments, user, variables)
        if not code:
            raise CheckError("the playbook did not fail")
        messages = MESSAGE.findall(played.output)
        if len(messages) != 1:
            raise CheckError(f"the playbook failed with {len(messages)} messages instead of one")
        return str(messages[0])

    def _run(self, arguments: tuple[str, ...], user: str, variables: dict[str, Any]) -> tuple[int, Played]:
        given = self._work / "variables.json"
        given.write_text(json.dumps({**self._always, **variables}))
        environment = {"ANSIBLE_HOME": str(self._work / "ansible"), "ANSIBLE_NOCOLOR": "1"}
        done = self._shell.aside(self._shell.log, environment).attempt(
            *("ansible-playbook", "--inventory", self._inventory(user), "--extra-vars", f"@{given}"),
            *(*arguments, "playbook.yml"),
            cwd=self._folder,
            timeout_s=TIMEOUT_S,
        )
        recap = RECAP.search(done.out)
        if recap is None and done.code == 0:
            raise CommandError("the playbook ended without a summary")
        return done.code, Played(int(recap[1]) if recap else 0, f"{done.out}\n{done.err}")

    def _inventory(self, user: str) -> Path:
        inventory = self._work / f"inventory-{user}.ini"
        options = " ".join(f"-o {option}" for option in ssh_options())
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self._machine.ssh_port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": self._machine.key,
            "ansible_ssh_common_args": f"'{options}'",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        variables = " ".join(f"{name}={value}" for name, value in host.items())
        inventory.write_text(f"[driftline]\nclean-machine {variables}\n")
        return inventory
