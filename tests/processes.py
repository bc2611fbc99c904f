"""Other processes: whether one is there, and a second Python that a test talks to line by line, and may kill."""

import subprocess
import sys
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Self

_LOGS_ELSEWHERE = """
import sys, structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
"""


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie; in a container nobody may collect those."""
    if sys.platform != "linux":
        return subprocess.run(["ps", "-p", str(pid)], stdout=subprocess.DEVNULL, check=False).returncode == 0
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Script:
    """A running Python program; killed when the ``with`` ends, if it is still there.

    Args:
        code: The program.
        arguments: What it finds in ``sys.argv[1:]``.
    """

    def __init__(self, code: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LOGS_ELSEWHERE + textwrap.dedent(code), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parents[1],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def say(self, line: object = "") -> None:
        """Sends it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """Returns the next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.endswith("\n"), f"the process ended with {self.process.wait(60)}"
        return line.rstrip("\n")

    def rest(self) -> list[str]:
        """Returns what it printed until it ended."""
        assert self.process.stdout is not None
        return self.process.stdout.read().splitlines()

    def end(self) -> int:
        """Lets it read to the end of what it was told, and returns its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)

    def kill(self) -> None:
        """``kill -9``; returns when it is gone. Fine to call twice."""
        self.process.kill()
        self.process.wait(60)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
