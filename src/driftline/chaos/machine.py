"""What faults this machine allows, and what is left out for which reason."""

import os
import resource
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftline.chaos.disk import why_not_mount
from driftline.chaos.schedule import Ability
from driftline.errors import ChaosError

_NEVER: Final = {
    "slow disk": "nothing slows one down without harm to the machine's other users",
    "clock step": "the system's clock is everybody's; under libfaketime Redis does not start and Python cannot sleep",
}


@dataclass(frozen=True)
class Machine:
    """What can be done here.

    Attributes:
        abilities: What the faults of a schedule may need.
        left_out: Reasons, by what has to be left out.
        redis_server: The program; None where no broker is wanted.
    """

    abilities: frozenset[Ability]
    left_out: dict[str, str]
    redis_server: str | None


def survey(folder: Path, *, with_redis: bool) -> Machine:
    """Returns what can be done here.

    Args:
        folder: Where a file system may be mounted to see whether that works.
        with_redis: Whether there is to be a broker.

    Raises:
        ChaosError: There is no program for it.
    """
    abilities: set[Ability] = set()
    left_out = dict(_NEVER)
    program = _find_redis() if with_redis else None
    if with_redis:
        abilities.add("redis")
    if why := why_not_mount(folder):
        left_out["disk-full"] = why
    else:
        abilities.add("mounts")
    if hasattr(resource, "prlimit"):
        abilities.add("limits")
    else:
        left_out["file-limit"] = "the limits of another process can only be set on Linux"
    return Machine(frozenset(abilities), left_out, program)


def _find_redis() -> str:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("redis-server", path=places) or shutil.which("valkey-server", path=places)
    if program is None:
        raise ChaosError(
            "there is no redis-server on PATH. On Debian and Ubuntu: sudo apt-get install -y redis-server; "
            "or try the installation without a broker: driftline chaos --transport embedded"
        )
    return program
