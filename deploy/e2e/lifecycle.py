"""The life of a deployment: first run, second run, upgrade, rollback, reboot, uninstall."""

import json
import re
import shlex

from deploy.e2e.eventlog import FOLDER, VOLUMES
from deploy.e2e.load import load_on
from deploy.e2e.machine import Container
from deploy.e2e.release import TARGETS
from deploy.e2e.steps import ensure
from deploy.e2e.tools import PROJECT
from deploy.e2e.world import OPT, READY_WITHIN_S, World

KEPT_VOLUMES = {"driftline_log", "driftline_outbox", "driftline_redis", "driftline_secrets"}


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
        notes.append(f"changed=0, the same {len(before)} containers")


def upgrades_under_load(world: World) -> None:
    """A new version, built on the machine while clients keep asking."""
    with world.steps.check("an upgrade that the machine builds itself loses nothing, under load") as notes:
        before = world.machine.containers()
        with load_on(world.machine.url) as load:
            world.playbook(world.second).run(
                driftline_build=True, driftline_image_archives=[str(world.archives["base"])]
            )
        world.answered += load.answered
        notes.append(load.summary())
        ensure(world.running_version() == world.second.version, f"it runs {world.running_version()}")
        _leaves_redis_alone(world, before)
        ensure(load.answered and not load.refused, f"{load.refused} requests were refused")
        notes.append(world.all_logged())


def rolls_back_under_load(world: World) -> None:
    """The release before, whose image and files are still on the machine."""
    with world.steps.check("a rollback to the release before loses nothing, under load") as notes:
        before = world.machine.containers()
        with load_on(world.machine.url) as load:
            world.playbook(world.second).run("--tags", "rollback")
        world.answered += load.answered
        notes.append(load.summary())
        ensure(world.running_version() == world.first.version, f"it runs {world.running_version()}")
        _leaves_redis_alone(world, before)
        notes.append(world.all_logged())


def restores_a_backup(world: World) -> None:
    """The log is lost, and comes back from a copy made while the worker went on: as docs/deploy.md says."""
    with world.steps.check("the log is restored from a backup, while the API goes on") as notes:
        world.machine.run(f"cd {OPT} && docker compose exec -T worker driftline log backup >/var/tmp/log.tar")
        world.machine.run(f"cd {OPT} && docker compose stop worker && rm -rf {FOLDER}/*")
        ensure(not world.log.counts(), "the log is not gone")
        restore = "run --rm --no-deps -T --entrypoint sh worker -c 'rm -rf /data/logs/* && tar -x -C /data/logs'"
        world.machine.run(f"cd {OPT} && docker compose {restore} </var/tmp/log.tar")
        world.predict(5)
        world.machine.run(f"cd {OPT} && docker compose up -d --wait")
        notes.append(world.all_logged())
        ledger = world.machine.run(f"cd {OPT} && docker compose exec -T worker driftline ledger --json")
        ensure(json.loads(ledger)["balanced"], f"the ledger does not balance: {ledger}")


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


def _leaves_redis_alone(world: World, before: dict[str, Container]) -> None:
    after = world.machine.containers()
    ensure(after.keys() == before.keys(), f"{sorted(after)} are running, and {sorted(before)} were")
    same = [name for name in before if after[name] == before[name]]
    ensure(same == ["driftline-redis-1"], f"{same} were left alone; that should be Redis, and it alone")


def _volumes(world: World) -> set[str]:
    return {name for name in world.machine.run(f"ls {VOLUMES}").split() if name.startswith("driftline_")}
