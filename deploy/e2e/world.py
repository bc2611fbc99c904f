"""What all checks work on."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.e2e.commands import Shell
from deploy.e2e.errands import Errand
from deploy.e2e.eventlog import EventLog
from deploy.e2e.load import OK, predict
from deploy.e2e.machine import Machine
from deploy.e2e.playbook import Playbook
from deploy.e2e.release import Release
from deploy.e2e.steps import CheckError, Steps

OPT = "/opt/driftline"
READY_WITHIN_S = 120
SOON_S = 25
"""For the playbook to give up after, where a deployment will not get ready."""


@dataclass
class World:
    """The clean machine and what has happened on it.

    Attributes:
        steps: Where checks report.
        shell: Runs programs here.
        machine: The clean machine.
        log: The log on its volume.
        first: The release that is deployed first.
        second: The one after it.
        archives: The image archives that bring the first release, and the base image of the second.
        work: A folder for what checks make.
        told: Variables of .env that every deployment has.
        other_images: The images of the report, the load test and Prometheus, which are made meanwhile.
        answered: The ``request_id`` of every prediction that was ever answered: the log has to have all, once, always.
    """

    steps: Steps
    shell: Shell
    machine: Machine
    log: EventLog
    first: Release
    second: Release
    archives: dict[str, Path]
    work: Path
    told: dict[str, Any]
    other_images: Errand
    answered: list[str] = field(default_factory=list)

    def playbook(self, release: Release) -> Playbook:
        """The release's own playbook."""
        return Playbook(self.shell, self.machine, release.folder / "deploy" / "ansible", self.work, self.told)

    def deployment(self) -> dict[str, Any]:
        """The variables that deploy the first release from its archive."""
        return {"driftline_image_archives": [str(self.archives["first"])]}

    def predict(self, times: int = 1) -> None:
        """Asks for predictions, each of which has to be answered.

        Raises:
            CheckError: One was not.
        """
        for _ in range(times):
            try:
                status, request_id = predict(self.machine.url)
            except OSError as error:
                raise CheckError(f"/predict does not answer: {error}") from error
            if status != OK:
                raise CheckError(f"/predict answers {status}")
            self.answered.append(request_id)

    def all_logged(self, within_s: float = 30) -> str:
        """In words, that the log has everything that was ever answered, once.

        Raises:
            CheckError: It has not.
        """
        return f"{self.log.has_once(self.answered, within_s):,} answered, each in the log once"

    def running_version(self) -> str:
        """The version of the API that runs."""
        said = self.machine.run(f"cd {OPT} && docker compose exec --no-TTY api driftline --version")
        return said.split()[-1]
