"""The console, as somebody on the machine sees it."""

import re
import time

from deploy.e2e.commands import CommandError
from deploy.e2e.steps import CheckError, ensure
from deploy.e2e.world import OPT, World

URL = "http://127.0.0.1:8001"
GUARDED = "driftline-e2e-guarded"
KEY = re.compile(r"driftline_[0-9a-f]{8}_\S+")
NOBODYS_KEY = "driftline_00000000_nobodys"
ANSWERS_WITHIN_S = 60
OK, UNAUTHORIZED = 200, 401
ASK = """
import sys, urllib.error, urllib.request
url, key = sys.argv[1:]
asked = urllib.request.Request(url, headers={"X-API-Key": key} if key else {})
try:
    answer = urllib.request.urlopen(asked, timeout=5)
except urllib.error.HTTPError as refusal:
    answer = refusal
print(answer.status, answer.read().decode())
"""


def says_what_has_drifted(world: World) -> None:
    """Anybody on the machine may ask, as long as nobody has said that keys are needed."""
    with world.steps.check("the console answers, and names what has drifted") as notes:
        status, page = _ask(world, "python3", "/")
        ensure(status == OK, f"it answers {status}")
        ensure("feature_1" in page, "its first page does not name the column that has drifted")
        notes.append(f"{len(page):,} bytes")


def asks_for_keys(world: World) -> None:
    """A second one, on a folder of its own, that is told to ask for the keys that the API would ask for."""
    with world.steps.check("where keys are asked for, the console answers those of the API, and nobody else"):
        drawn = KEY.findall(_compose(world, "run --rm --no-deps -T keys add e2e"))
        ensure(len(drawn) == 1, f"{len(drawn)} keys were drawn")
        told = "-e DRIFTLINE_AUTH=keys -e DRIFTLINE_DATA=/tmp -e DRIFTLINE_REFERENCE="
        _compose(world, f"run --detach --no-deps --name {GUARDED} {told} monitor")
        inside = f"docker exec {GUARDED} python"
        _wait_until_it_answers(world, inside)
        statuses = [_ask(world, inside, "/", key)[0] for key in ("", NOBODYS_KEY, *drawn)]
        ensure(
            statuses == [UNAUTHORIZED, UNAUTHORIZED, OK], f"to no key, a wrong and a right one it answers {statuses}"
        )
        world.machine.run(f"docker rm --force {GUARDED}")
        _compose(world, "run --rm --no-deps -T keys revoke e2e")


def _wait_until_it_answers(world: World, python: str) -> None:
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            _ask(world, python, "/login")
        except CommandError as error:
            if time.monotonic() > deadline:
                raise CheckError(f"it does not answer: {error}") from error
            time.sleep(0.5)
        else:
            return


def _ask(world: World, python: str, path: str, key: str = "") -> tuple[int, str]:
    """Status and body of a page, asked for by a Python where that is."""
    said = world.machine.run(f'{python} -c "$(cat)" {URL}{path} "{key}"', stdin=ASK, quiet=True)
    status, _, page = said.partition(" ")
    return int(status), page


def _compose(world: World, command: str) -> str:
    return world.machine.run(f"cd {OPT} && docker compose {command}", quiet=True)
