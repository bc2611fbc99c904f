"""Work that is done while the steps go on, one piece after the other."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deploy.e2e.commands import Shell
from deploy.e2e.steps import Steps


@dataclass(frozen=True)
class Errand:
    """A piece of work under way.

    Attributes:
        shell: Its own, with a log of its own.
        outcome: What comes of it.
    """

    shell: Shell
    outcome: Future[str]

    def result(self, steps: Steps) -> str:
        """What came of it, once it is done; if it failed, the step in hand fails and shows its log.

        Raises:
            CommandError: It failed.
        """
        steps.shell.log = self.shell.log
        return self.outcome.result()


class Errands:
    """Runs work beside the steps.

    Args:
        steps: Whose shell and logs it takes after.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._all: list[Errand] = []

    def start(self, name: str, work: Callable[..., str], *arguments: Any) -> Errand:
        """Has ``work`` done, with a shell as its first argument."""
        shell = self._steps.shell.aside(self._steps.log_of(name))
        errand = Errand(shell, self._pool.submit(work, shell, *arguments))
        self._all.append(errand)
        return errand

    def end(self) -> None:
        """Breaks off what is not done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for errand in self._all:
            errand.shell.end()
        self._pool.shutdown()
