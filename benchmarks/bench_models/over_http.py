"""What is measured over HTTP: CPU time of the processes that serve, while a client keeps them busy."""

import http.client
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import msgspec
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from bench_models.packages import Case
from counters import counted
from stack import STOP_S, free_port, inherited, installed, used_s, wait_for

CLIENTS = 8
START_S = 60.0
ACCEPTED = "driftline_events_accepted_total"
# Nobody takes its events away.
OUTBOX_MAX = "4GiB"


class Server:
    """``driftline serve`` of one model, embedded and without a worker, with one process that answers.

    Args:
        case: The model.
        directory: For its data.
    """

    def __init__(self, case: Case, directory: Path) -> None:
        self._port = free_port()
        self._bodies = [msgspec.json.encode(row) for row in case.rows]
        command = [installed("driftline"), "serve", str(case.package)]
        command += ["--data", str(directory / "data"), "--port", str(self._port)]
        environment = {**inherited(), "DRIFTLINE_OUTBOX_MAX_BYTES": OUTBOX_MAX}
        with (directory / "server.log").open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_for(f"the server of {case.name}; see {directory}", self._is_ready, START_S)

    def one_by_one(self) -> float:
        """CPU microseconds for one prediction, of :data:`CLIENTS` clients that wait for each answer."""
        shares = [self._bodies[at::CLIENTS] for at in range(CLIENTS)]
        began = self._cpu_s()
        clients = [Thread(target=self._post, args=("/predict", share, {})) for share in shares]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return (self._cpu_s() - began) / len(self._bodies) * 1e6

    def batch(self, content_type: str, body: bytes, rows: int, times: int) -> float:
        """CPU microseconds for one row of a batch that is sent so many times.

        Raises:
            RuntimeError: Not each row is an event in the outbox.
        """
        accepted = counted(self._port, ACCEPTED)
        began = self._cpu_s()
        self._post("/predict/batch", [body] * times, {"Content-Type": content_type})
        used = self._cpu_s() - began
        accepted = counted(self._port, ACCEPTED) - accepted
        if accepted != rows * times:
            raise RuntimeError(f"of {rows * times} rows {accepted} were accepted as events")
        return used / rows / times * 1e6

    def stop(self) -> None:
        """Ends it, as Ctrl-C does."""
        self._process.terminate()
        self._process.wait(STOP_S)

    def _post(self, path: str, bodies: list[bytes], headers: Mapping[str, str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        for body in bodies:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text  # noqa: PLR2004
        connection.close()

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200  # noqa: PLR2004
        except OSError:
            return False
        finally:
            connection.close()

    def _cpu_s(self) -> float:
        return used_s(psutil.Process(self._process.pid))


@contextmanager
def serving(case: Case, directory: Path) -> Iterator[Server]:
    """A server, while inside."""
    place = directory / f"served-{case.package.name}"
    place.mkdir()
    server = Server(case, place)
    try:
        yield server
    finally:
        server.stop()
