"""A stack that runs, as real processes."""

import contextlib
import http.client
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from bench_serve.stacks import Place, Stack
from bench_serve.wrk import Load, put_under_load
from cores import Cores, idle
from stack import STOP_S, Redis, free_port, inherited, tree, used_s, wait_for

START_S = 180.0
RECOVERY_S = 20.0
TIMEOUT_S = 5.0
# Of what a process said when it did not come up.
LAST_LINES = 10


class Running:
    """A server with what it needs, ready to be asked.

    Args:
        stack: What is to run.
        directory: For its files.
        cores: Where.
    """

    def __init__(self, stack: Stack, directory: Path, cores: Cores) -> None:
        self.stack = stack
        self.answers = 0
        self._directory = directory
        self._ends = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self._start(cores)
        except BaseException:
            self._ends.close()
            raise

    def _start(self, cores: Cores) -> None:
        stack, redis = self.stack, Redis(self._directory / "redis")
        if stack.redis:
            redis.start()
            self._ends.callback(redis.kill)
        self.place = Place(self._directory, free_port(), redis.url)
        self._beside = self._started("beside", idle(stack.beside(self.place))) if stack.beside else None
        self.server = self._started("server", cores.for_server(stack.command(self.place)))
        self._wait_for(f"{stack.name} to answer", self.answers_rightly, START_S)
        if self._beside and stack.events:
            stack.events(self.place)  # it is there, too

    def _started(self, name: str, command: Sequence[str]) -> psutil.Process:
        # Where we find our modules is not for those that are measured.
        ours = {key: value for key, value in inherited().items() if key != "PYTHONPATH"}
        with (self._directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env={**ours, **self.stack.environment(self.place)},
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._ends.callback(end, process)
        self._processes[name] = process
        return psutil.Process(process.pid)

    def _wait_for(self, what: str, condition: Callable[[], bool], within_s: float) -> None:
        try:
            wait_for(what, lambda: self._all_run() and condition(), within_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said: {self._last_said('server')}") from None

    def _all_run(self) -> bool:
        for name, process in self._processes.items():
            if process.poll() is not None:
                text = f"{self.stack.name}: the {name} ended with {process.returncode}, and said"
                raise RuntimeError(f"{text}: {self._last_said(name)}")
        return True

    def _last_said(self, name: str) -> str:
        lines = (self._directory / f"{name}.log").read_text(errors="replace").splitlines()
        return " / ".join(line.strip() for line in lines[-LAST_LINES:]) or "nothing"

    def answers_rightly(self) -> bool:
        """Whether it answers its body with 200.

        Raises:
            RuntimeError: It does, but the answer is wrong.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self.stack.path, self.stack.body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status != http.client.OK:
            return False
        if not self.stack.right(body):
            raise RuntimeError(f"{self.stack.name} answers wrongly: {body!r}")
        self.answers += 1
        return True

    def load(self, seconds: float) -> Load:
        """What came of wrk's load.

        Raises:
            RuntimeError: It has ended, or answers wrongly behind it.
            TimeoutError: It does not answer any more.
        """
        load = put_under_load(self.stack, self.place.port, seconds)
        self.answers += load.answers
        self._wait_for(f"an answer of {self.stack.name} after its load", self.answers_rightly, RECOVERY_S)
        return load

    def cpu_s(self) -> float:
        """Processor seconds that the server has used so far, all its processes together."""
        return used_s(self.server)

    def beside_cpu_s(self) -> float:
        """Those of the process beside it."""
        return used_s(self._beside) if self._beside else 0.0

    def rss_bytes(self) -> int:
        """Resident memory of the largest of its processes."""
        return max(int(process.memory_info().rss) for process in tree(self.server))

    def lost(self) -> int:
        """How many answers have no event: of those that we got, or of those that it says it gave, if they are more.

        The server's own count knows also of requests that were under way when the load ended.
        """
        if self.stack.events is None:
            return 0
        answers = max(self.answers, self.stack.answered(self.place) if self.stack.answered else 0)
        return max(0, answers - self.stack.events(self.place))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()


@contextmanager
def running(stack: Stack, cores: Cores) -> Iterator[Running]:
    """The stack with a directory of its own; both are gone afterwards."""
    with (
        TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory,
        Running(stack, Path(directory), cores) as started,
    ):
        yield started


def end(process: "subprocess.Popen[bytes]") -> None:
    """Asks it to end, and after a while makes it, with all that it started."""
    started = tree(psutil.Process(process.pid)) if process.poll() is None else []
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    for each in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
