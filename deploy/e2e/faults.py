"""What operators get wrong and disks do: each ends in one clear message, and loses nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.e2e.eventlog import FOLDER, VOLUMES
from deploy.e2e.monitored import has_counted_all
from deploy.e2e.steps import CheckError, ensure
from deploy.e2e.world import SOON_S, World

SECRETS = f"{VOLUMES}/driftline_secrets/_data"


def port_taken(world: World) -> None:
    """The port belongs to another program: here, to sshd."""
    with world.steps.check("a port that is taken: one message, and nothing is touched") as notes:
        before = world.machine.containers()
        message = world.playbook(world.first).refused(driftline_port=22, **world.deployment())
        notes.append(_says(message, "port 22", "already in use", "driftline_port"))
        ensure(world.machine.containers() == before, "a container was restarted")
        world.predict()
        notes.append(world.all_logged())


def unusable_password(world: World) -> None:
    """A password with a tab, which the one-shot `init` refuses."""
    with world.steps.check("a password that cannot be used: one message, and what runs goes on running") as notes:
        before = world.machine.containers()
        wrong = {"driftline_redis_password": "with a\ttab"}
        message = world.playbook(world.first).refused(**wrong, **world.deployment())
        notes.append(_says(message, "REDIS_PASSWORD", "cannot be printed"))
        ensure(world.machine.containers() == before, "a container was restarted")
        world.predict()
        notes.append(world.all_logged())


def wrong_password(world: World) -> None:
    """Redis has another password than the API and the worker think."""
    with world.steps.check("a wrong Redis password on one side: one message, and nothing is lost") as notes:
        _tell_redis(world, "requirepass somebody-changed-it")
        world.machine.run("docker restart driftline-worker-1")
        world.predict(20)
        message = world.playbook(world.first).refused(driftline_ready_within_s=SOON_S, **world.deployment())
        notes.append(_says(message, "driftline-worker-1", "password"))
        world.predict(20)
        ensure(world.machine.answers("/health/ready"), "the API is not ready, though it can keep what it answers")
        world.machine.run("docker restart driftline-redis-1")
        notes.append(world.all_logged(within_s=60))


def log_volume_full(world: World) -> None:
    """The disk of the log is full; then there is room again."""
    with world.steps.check("a full log volume: one message, and nothing is lost") as notes:
        with _small_log_volume(world, megabytes=16):
            world.machine.run(f"dd if=/dev/zero of={FOLDER}/filler bs=64k 2>/dev/null || true; sync {FOLDER}/filler")
            world.predict(200)
            message = world.playbook(world.first).refused(driftline_ready_within_s=SOON_S, **world.deployment())
            notes.append(_says(message, "driftline-worker-1", "No space left on device"))
            world.predict(20)
            world.machine.run(f"rm {FOLDER}/filler")
            notes.append(world.all_logged(within_s=60))
        world.predict()
        notes += [world.all_logged(), has_counted_all(world)]


@contextmanager
def _small_log_volume(world: World, megabytes: int) -> Iterator[None]:
    """Puts the log on a small disk; in the end, what it has written is moved back."""
    kept = "/var/tmp/log-volume"  # noqa: S108 - on the machine
    # Who reads it first: only the last one to close SQLite's file takes its write-ahead log away, which has megabytes.
    stop = "docker stop driftline-monitor-1; docker stop driftline-worker-1"
    start = "docker start driftline-worker-1 driftline-monitor-1"
    world.machine.run(
        f"{stop}; rm -rf {kept}; cp --archive {FOLDER} {kept}; "
        f"mount -t tmpfs -o size={megabytes}m,mode=0755 tmpfs {FOLDER}; "
        f"cp --archive {kept}/. {FOLDER}; {start}"
    )
    world.predict()
    world.all_logged()
    yield
    world.machine.run(
        f"{stop}; rm -rf {kept}; cp --archive {FOLDER} {kept}; umount {FOLDER}; cp --archive {kept}/. {FOLDER}; {start}"
    )


def _tell_redis(world: World, setting: str) -> None:
    login = f'REDISCLI_AUTH="$(cat {SECRETS}/redis-password)"'
    world.machine.run(
        f"export {login}; docker exec --env REDISCLI_AUTH driftline-redis-1 redis-cli -e config set {setting}"
    )


def _says(message: str, *words: str) -> str:
    """The line of the message that has all the words, for people to judge whether it is clear.

    Raises:
        CheckError: No line has.
    """
    for line in message.splitlines():
        if all(word in line for word in words):
            return f'"{line.strip()}"'
    raise CheckError(f"no line of the message says {', '.join(words)}: {message}")
