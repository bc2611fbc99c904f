"""One core for what is measured, another for all that measures it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class Cores(NamedTuple):
    """Numbers of two cores, the same twice where the machine has one only.

    Attributes:
        server: For what is measured.
        load: For the load, Redis, the log worker, and this process.
    """

    server: int
    load: int

    @classmethod
    def of_machine(cls) -> "Cores":
        """The first and the last that we may use."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1])

    def pin_load(self) -> None:
        """Keeps this process, and what it starts from now on, on the core of the load."""
        os.sched_setaffinity(0, {self.load})

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Within it this process, and what it starts, may use both."""
        os.sched_setaffinity(0, {self.server, self.load})
        try:
            yield
        finally:
            self.pin_load()

    def for_server(self, command: Sequence[str]) -> list[str]:
        """The command on the server's core."""
        return ["taskset", "--cpu-list", str(self.server), *command]


def idle(command: Sequence[str]) -> list[str]:
    """The command with what others leave of the processor."""
    return ["chrt", "--idle", "0", *command]
