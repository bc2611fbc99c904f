"""A process: tasks that take turns, and may all end between any two steps."""

from collections.abc import Generator

Steps = Generator[None, None, None]
"""A task. Each ``yield`` is a place where its process may be killed, frozen, or lose power."""


class Process:
    """What has a life: an API process, a worker, an operator's command.

    Attributes:
        name: For the trace.
        alive: Locks are held by the living.
        tasks: Its concurrent activities; one that returns leaves.
        frozen_until: SIGSTOP: it does nothing before this step, and keeps its locks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.tasks: list[Steps] = []
        self.frozen_until = 0

    def end(self) -> None:
        """Ends it, by kill -9 or by itself."""
        self.alive = False
        self.tasks = []

    def step(self, number: int) -> None:
        """Lets one task go on to its next ``yield``."""
        task = self.tasks[number]
        try:
            next(task)
        except StopIteration:
            if task in self.tasks:
                self.tasks.remove(task)
