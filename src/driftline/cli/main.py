"""The entry point: runs the command line and turns errors into one line and an exit code."""

import sys
from typing import NoReturn

from driftline.cli.loading import loading
from driftline.errors import DriftlineError


def main() -> NoReturn:
    """Runs the command that ``sys.argv`` names and ends the process with its exit code."""
    if sys.platform == "win32":
        print("driftline: Windows itself will not do; use WSL (Windows Subsystem for Linux)", file=sys.stderr)  # noqa: T201 - the command line's own voice
        sys.exit(3)
    # What this imports does not exist on Windows, so the line above must come first.
    with loading():
        from driftline.cli.app import app  # noqa: PLC0415
        from driftline.cli.exits import Exit, complain, exit_of  # noqa: PLC0415

    try:
        app(prog_name="driftline")
    except DriftlineError as error:
        complain(error)
        sys.exit(exit_of(error))
    except OSError as error:  # a folder that is none, a disk that refuses: nothing that a traceback would explain
        print(f"driftline: {error}", file=sys.stderr)  # noqa: T201 - as above
        sys.exit(Exit.CANNOT)
    sys.exit(0)
