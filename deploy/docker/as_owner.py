"""Becomes a command that runs as the owner of a directory, so that what it writes there is theirs.

usage: python as_owner.py DIRECTORY COMMAND [ARGUMENT ...]

A folder of the host that is mounted into a container has an owner whom no image can know. Of root's powers it takes
SETUID and SETGID, and gives them up.
"""

import os
import sys


def main(directory: str, *command: str) -> None:
    """Does not return."""
    owner = os.stat(directory)  # noqa: PTH116 - nothing else of pathlib would be used
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
    os.execvp(command[0], command)  # noqa: S606 - the command is the caller's own


if __name__ == "__main__":
    main(*sys.argv[1:])
