"""The life of a deployment: first run, second run, reboot, uninstall."""

import json
import re
import shlex

from deploy.e2e.eventlog import VOLUMES
from deploy.e2e.release import TARGETS
from deploy.e2e.steps import ensure
from deploy.e2e.tools import PROJECT
from deploy.e2e.world import OPT, READY_WITHIN_S, World

KEPT_VOLUMES = {"driftline_log", "driftline_monitor", "driftline_outbox", "driftline_redis", "driftline_secrets"}


def foresees_the_first_run(world: World) -> None:
    """Check mode, where nothing is yet that could be asked."""
    with world.steps.check("check mode says what a first run would do, and does nothing") as notes:
        played = world.playbook(world.first).run("--check", "--diff", **world.deployment())
        ensure("Docker would be installed" in played.output, "it does not say that Docker would be installed")
        ensure(world.machine.attempt("command -v docker").code != 0, "Docker is there")
        notes.append(f"changed={played.changed}")


def deploys_to_a_clean_machine(world: World) -> None:
    """The first run, as a user who needs sudo."""
    with world.steps.check("the playbook deploys to a clean machine, by sudo") as notes:
        played = world.playbook(world.first).run(user="deploy", **world.deployment())
        notes.append(f"changed={played.changed}")
        ensure(world.machine.answers("/health"), "/health does not answer 200 when the playbook has ended")
        mode = world.machine.run(f"stat --format '%a %U' {OPT}/.env")
        ensure(mode == "600 root", f".env is {mode}, not 600 root")
        ensure(world.running_version() == world.first.version, f"it runs {world.running_version()}")


def answers_the_readme(world: World) -> None:
    """The commands that a reader types first."""
    with world.steps.check("the README's curl lines answer, and the event is in the log, once") as notes:
        lines = [line for line in (PROJECT / "README.md").read_text().splitlines() if line.startswith("curl ")]
        ensure(lines, "README.md has no line that begins with curl")
        for line in [*lines, "curl http://localhost:8000/health"]:
            command = shlex.split(line.replace("http://localhost:8000", world.machine.url))
            answer = json.loads(world.shell.run(command[0], "--fail", "--silent", "--show-error", *command[1:]))
            if "/predict" in line:
                ensure(set(answer) == {"request_id", "probability", "predicted_class"}, f"/predict answers {answer}")
                world.answered.append(answer["request_id"])
        notes.append(world.all_logged())


def runs_again_without_a_change(world: World) -> None:
    """The second run, as root."""
    with world.steps.check("a second run changes nothing and restarts nothing, as root") as notes:
        before = world.machine.containers()
        played = world.playbook(world.first).run(user="root", **world.deployment())
        ensure(played.changed == 0, f"changed={played.changed}: {', '.join(re.findall('changed: .*', played.output))}")
        ensure(world.machine.containers() == before, "a container was restarted")
        foreseen = world.playbook(world.first).run("--check", user="root", **world.deployment())
        ensure(foreseen.changed == 0, f"check mode says changed={foreseen.changed}")
        ensure(world.machine.containers() == before, "check mode has restarted a container")
        notes.append(f"changed=0, in check mode too, and the same {len(before)} containers")


def survives_a_reboot(world: World) -> None:
    """Everything comes back by itself, with what was there before."""
    with world.steps.check("everything is back after a reboot") as notes:
        world.machine.reboot()
        notes.append(f"ready {world.machine.wait_until_ready(READY_WITHIN_S):.0f} s later")
        world.predict(5)
        notes.append(world.all_logged())


def uninstalls(world: World) -> None:
    """All goes but the volumes; and when told so, these too."""
    with world.steps.check("uninstall keeps the volumes") as notes:
        world.playbook(world.first).run("--tags", "uninstall")
        ensure(not world.machine.run("docker ps --all --quiet"), "containers are left")
        ensure(not world.machine.run(f"ls --almost-all {OPT} 2>/dev/null || true"), f"{OPT} is left")
        images = world.machine.run("docker image ls --format '{{.Repository}}'").split()
        ensure(not TARGETS.keys() & set(images), "images of Driftline are left")
        ensure(_volumes(world) >= KEPT_VOLUMES, f"of the volumes, only {_volumes(world)} are left")
        notes.append(world.all_logged())
    with world.steps.check("uninstall removes the volumes when told to"):
        world.playbook(world.first).run("--tags", "uninstall", driftline_remove_volumes=True)
        ensure(not _volumes(world), f"volumes are left: {_volumes(world)}")


def _volumes(world: World) -> set[str]:
    return {name for name in world.machine.run(f"ls {VOLUMES}").split() if name.startswith("driftline_")}
