"""``python -m deploy.e2e``: sets everything up, checks, cleans up.

Exit code: 0 all checks passed, 1 one failed, 2 the test could not be set up.

    DRIFTLINE_E2E_ENGINE   unix://PATH of a Docker engine to use, instead of starting one
    DRIFTLINE_E2E_CACHE    folder that keeps the file systems of the base images from one run to the next
    DRIFTLINE_E2E_DEBIAN   13 or 12: the clean machine's
    DRIFTLINE_E2E_KEEP     1: leave the clean machine running
    TMPDIR                 where to work; default /var/tmp, for 8 GB are too much for a memory disk
"""

import os
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType

from deploy.e2e import console, faults, kustomize, lifecycle, monitored, page, standins, tools, upgrades
from deploy.e2e.commands import Shell
from deploy.e2e.engine import Engine
from deploy.e2e.errands import Errands
from deploy.e2e.eventlog import EventLog
from deploy.e2e.machine import Machine
from deploy.e2e.release import Release, copy_project, save
from deploy.e2e.steps import NOT_SET_UP, PASSED, StepFailedError, Steps, say
from deploy.e2e.world import World

PYTHON = "python:3.13-slim"
REDIS = "redis:7"

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

CHECKS = (
    lifecycle.foresees_the_first_run,
    lifecycle.deploys_to_a_clean_machine,
    lifecycle.answers_the_readme,
    lifecycle.runs_again_without_a_change,
    monitored.adopts_a_reference,
    monitored.tells_of_drift_once,
    monitored.survives_kill_9,
    console.says_what_has_drifted,
    console.asks_for_keys,
    faults.port_taken,
    faults.unusable_password,
    faults.wrong_password,
    faults.log_volume_full,
    upgrades.upgrades_under_load,
    upgrades.gives_up_a_release_that_does_not_get_ready,
    upgrades.rolls_back_under_load,
    monitored.goes_on_after_an_upgrade,
    monitored.goes_and_comes_back,
    page.restores_a_backup,
    page.makes_load_and_a_report,
    page.is_watched,
    lifecycle.survives_a_reboot,
    page.replaces_a_lost_log,
    lifecycle.uninstalls,
)


def main() -> int:
    """Goes through everything, and returns the exit code."""
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    work = Path(tempfile.mkdtemp(prefix="driftline-e2e-", dir=os.environ.get("TMPDIR", "/var/tmp")))  # noqa: S108
    (work / "logs").mkdir()
    test = EndToEnd(work)
    exit_code = NOT_SET_UP
    try:
        exit_code = test.run()
    except StepFailedError as failed:
        exit_code = failed.exit_code
        test.show_machine()
    except KeyboardInterrupt:
        say("interrupted")
    except Exception:  # noqa: BLE001 - the last resort: whatever it was, the machine is cleaned up and the code is 2
        traceback.print_exc()
    finally:
        for number in INTERRUPTS:  # a second Ctrl-C must not leave an engine behind
            signal.signal(number, signal.SIG_IGN)
        say("cleaning up")
        test.clean_up()
        say(
            f"[{test.steps.seconds:4.0f} s] {test.steps.passed} checks passed"
            + ("" if exit_code == PASSED else ", then it FAILED")
        )
    return exit_code


class EndToEnd:
    """The test.

    Args:
        work: A new folder for all it makes.
    """

    def __init__(self, work: Path) -> None:
        self.steps = Steps(work / "logs")
        self._work = work
        self._shell = self.steps.shell
        self._engine: Engine | None = None
        self._machine: Machine | None = None
        self._errands = Errands(self.steps)
        self._cache = Path(os.environ.get("DRIFTLINE_E2E_CACHE", work / "cache"))
        self._debian = int(os.environ.get("DRIFTLINE_E2E_DEBIAN", "13"))

    def run(self) -> int:
        """Sets up and checks.

        Raises:
            StepFailedError: A step failed, and has said so.
        """
        world = self._set_up()
        lint = self._errands.start("ansible-lint", tools.lint_playbook)
        cluster = self._errands.start("kustomize", kustomize.build, self._work / "kustomize", PYTHON)
        for check in CHECKS:
            check(world)
        with self.steps.check("ansible-lint, profile production, had nothing to say"):
            lint.result(self.steps)
        with self.steps.check("kustomize builds the Kubernetes base, and the overlay of the page") as notes:
            notes.append(cluster.result(self.steps))
        return PASSED

    def show_machine(self) -> None:
        """Shows the containers of the clean machine and their last lines."""
        if self._machine is not None:
            say("--- containers on the clean machine, and their last lines")
            say(self._machine.diagnosis())

    def clean_up(self) -> None:
        """Removes all that was made, whatever has happened."""
        if os.environ.get("DRIFTLINE_E2E_KEEP") == "1" and self._machine is not None:
            say(f"kept: DOCKER_HOST={self._shell.environment['DOCKER_HOST']} docker exec -it {self._machine.name} bash")
            say(f"      stop its engine by the process id in {self._work}/engine/engine.pid, then remove {self._work}")
            return
        self._shell.log = self.steps.log_of("clean up")
        self._errands.end()
        if self._machine is not None:
            self._machine.remove()
        if self._engine is not None:
            self._engine.stop()
        shutil.rmtree(self._work, ignore_errors=True)

    def _set_up(self) -> World:
        steps, shell = self.steps, self._shell
        with steps.preparation("programs from Debian packages") as notes:
            notes.append(", ".join(tools.install_programs(shell)) or "all there")
        ansible = self._errands.start("ansible", tools.install_ansible)
        with steps.preparation("a Docker engine") as notes:
            self._engine = Engine(shell, self._work / "engine", os.environ.get("DRIFTLINE_E2E_ENGINE"))
            notes.append(self._engine.start())
        with steps.preparation("base images from Debian packages"):
            clean = standins.clean(self._debian)
            standins.make_all([standins.python(PYTHON), standins.redis(REDIS), clean], shell, self._cache)
        with steps.preparation("the clean machine"):
            self._machine = Machine(shell, clean.name, self._work)
            self._machine.boot()
        first, second = (copy_project(self._work / f"release-{number}", number) for number in (1, 2))
        with steps.preparation("the image") as notes:
            notes.append(first.build(shell, "driftline"))
        archives = {"first": self._work / "first.tar", "base": self._work / "base.tar"}
        with steps.preparation("image archives") as notes:
            notes.append(save(shell, archives["first"], first.image("driftline"), REDIS))
            notes.append(save(shell, archives["base"], PYTHON))
        with steps.preparation("Ansible") as notes:
            notes.append(ansible.result(steps))
        images = self._errands.start("images", self._make_other_images, first)
        told = monitored.settings(self._machine)
        log = EventLog(self._machine)
        return World(steps, shell, self._machine, log, first, second, archives, self._work, told, images)

    def _make_other_images(self, shell: Shell, release: Release) -> str:
        standins.make_all([standins.prometheus(page.PROMETHEUS)], shell, self._cache)
        return release.build(shell, "driftline-report", "driftline-load")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
