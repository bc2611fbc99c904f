"""Another release: upgrade, one that does not get ready, rollback."""

from deploy.e2e.load import load_on
from deploy.e2e.machine import Container
from deploy.e2e.release import copy_project
from deploy.e2e.steps import ensure
from deploy.e2e.world import SOON_S, World


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


def gives_up_a_release_that_does_not_get_ready(world: World) -> None:
    """A third release, whose program ends at once: a rollback leads to the last one that was ready."""
    with world.steps.check("a release that does not get ready: one message, and a rollback from it") as notes:
        third = copy_project(world.work / "release-3", 3)
        broken = f'FROM {world.second.image("driftline")}\nENTRYPOINT ["false"]\n'
        world.machine.run(f"docker build --quiet --tag {third.image('driftline')} -", stdin=broken)
        message = world.playbook(third).refused(driftline_build=False, driftline_ready_within_s=SOON_S)
        notes.append(message.strip().splitlines()[0])
        ensure("driftline-api-1: Restarting" in message, f"it does not say what is wrong: {message}")
        world.playbook(third).run("--tags", "rollback")
        ensure(world.running_version() == world.second.version, f"it runs {world.running_version()}")
        world.predict(5)
        notes.append(world.all_logged())


def rolls_back_under_load(world: World) -> None:
    """The release before, whose image and files are still on the machine."""
    with world.steps.check("a rollback to the release before loses nothing, under load") as notes:
        before, image = world.machine.containers(), _image(world, world.first.version)
        with load_on(world.machine.url) as load:
            world.playbook(world.second).run("--tags", "rollback")
        world.answered += load.answered
        notes.append(load.summary())
        ensure(world.running_version() == world.first.version, f"it runs {world.running_version()}")
        ensure(_image(world, world.first.version) == image, "its image was built anew")
        _leaves_redis_alone(world, before)
        notes.append(world.all_logged())


def _leaves_redis_alone(world: World, before: dict[str, Container]) -> None:
    after = world.machine.containers()
    ensure(after.keys() == before.keys(), f"{sorted(after)} are running, and {sorted(before)} were")
    same = [name for name in before if after[name] == before[name]]
    ensure(same == ["driftline-redis-1"], f"{same} were left alone; that should be Redis, and it alone")


def _image(world: World, version: str) -> str:
    return world.machine.run(f"docker image inspect --format '{{{{.Id}}}}' driftline:{version}")
