"""What asking for a key costs: CPU time of an API process for each prediction, without keys, with one, and with a rate.

    python benchmarks/keys.py                 # three servers in turn, five rounds
    python benchmarks/keys.py --requests 2000 --rounds 2

The load comes from one client that keeps its connection and waits for each answer, so throughput says nothing here; CPU
time is that of the process that answers, from the kernel. Rounds alternate, so that what else the machine does falls on
all alike; ratios within a run are what to believe.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
from starlette.types import Message, Receive, Scope, Send

from driftline.api.guard import Guard, Guarded, KeyRing
from driftline.api.keys import add_key
from driftline.api.rates import Rates
from driftline.api.routes import Routes
from driftline.contract.package import seed_schema
from stack import free_port, installed, wait_for

START_S = 30.0
CALLS, REPEATS = 20_000, 5
BODY = json.dumps(seed_schema().example)
MANY_PER_S = 1_000_000.0


@dataclass(frozen=True)
class Server:
    """A served API.

    Attributes:
        name: What is different about it.
        port: Where it listens.
        process: The one process that answers.
        headers: What a request brings.
    """

    name: str
    port: int
    process: psutil.Process
    headers: dict[str, str]

    def cpu_us(self, requests: int) -> float:
        """Processor microseconds for each of so many predictions.

        Raises:
            RuntimeError: One was refused.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        before = self._used_s()
        for _ in range(requests):
            connection.request("POST", "/predict", BODY, self.headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.client.OK:
                raise RuntimeError(f"{self.name}: {answer.status}")
        used_s = self._used_s() - before
        connection.close()
        return used_s / requests * 1e6

    def _used_s(self) -> float:
        used = self.process.cpu_times()
        return float(used.user + used.system)


@contextlib.contextmanager
def serving(name: str, directory: Path, token: str | None, **settings: str) -> Iterator[Server]:
    """A server that is up; it is gone after the ``with``."""
    port = free_port()
    environment = {**os.environ, **settings, "DRIFTLINE_DATA": str(directory), "DRIFTLINE_PORT": str(port)}
    with (directory / "output").open("wb") as output:
        serve = subprocess.Popen([installed("driftline"), "serve"], env=environment, stdout=output, stderr=output)
    try:
        wait_for(f"{name}; see {directory}/output", lambda: answers(port), START_S)
        [process] = psutil.Process(serve.pid).children()
        headers = {"content-type": "application/json"} | ({} if token is None else {"authorization": f"Bearer {token}"})
        yield Server(name, port, process, headers)
    finally:
        serve.send_signal(signal.SIGTERM)
        serve.wait(START_S)


def answers(port: int) -> bool:
    """Whether a server is ready on this port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def main() -> None:
    """Prints a table: microseconds for each request, the median of the rounds, and the ratio to the first row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000, help="predictions in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        servers = []
        for name, rate in (("no keys", None), ("a key", None), ("a key with a rate", MANY_PER_S)):
            data = Path(directory) / name.replace(" ", "-")
            data.mkdir()
            token = None if name == "no keys" else add_key(data / "keys.toml", "benchmark", rate)
            servers.append(
                stack.enter_context(serving(name, data, token, DRIFTLINE_AUTH="none" if token is None else "keys"))
            )
        for server in servers:
            server.cpu_us(options.requests // 5)  # warm
        began = time.monotonic()
        measured = [[server.cpu_us(options.requests) for server in servers] for _ in range(options.rounds)]
    ratios = [statistics.median(row[at] / row[0] for row in measured) for at in range(len(servers))]
    lines = ["| server | CPU µs a prediction | of the first |", "| --- | ---: | ---: |"]
    lines += [
        f"| {server.name} | {statistics.median(row[at] for row in measured):.1f} | {ratios[at]:.3f} |"
        for at, server in enumerate(servers)
    ]
    took_s = time.monotonic() - began
    lines += ["", f"{options.rounds} rounds of {options.requests:,} predictions each, {took_s:.0f} s."]
    alone = ", ".join(
        f"{name} {decision_us(rate):.2f}" for name, rate in (("a key", None), ("with a rate", MANY_PER_S))
    )
    lines.append(f"The decision alone, fastest of {REPEATS} times {CALLS:,}, in microseconds: {alone}.")
    sys.stdout.write("\n".join(lines) + "\n")


def decision_us(rate: float | None) -> float:
    """Microseconds of letting one request in, by itself in this process: hardly any noise, and no server around it."""

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        pass

    async def nothing() -> Message:
        raise AssertionError

    async def nowhere(_: Message) -> None:
        raise AssertionError("refused")

    async def asked(guard: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope) -> float:
        began = time.perf_counter()
        for _ in range(CALLS):
            await guard(scope, nothing, nowhere)
        return (time.perf_counter() - began) / CALLS * 1e6

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "keys.toml"
        token = add_key(path, "benchmark", rate)
        headers = [
            (b"host", b"x"),
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer " + token.encode()),
        ]
        scope = {"type": "http", "path": "/predict", "headers": headers}
        guard = Guarded(app, Guard(KeyRing(path), Rates()), Routes([], {}))
        guarded = min(asyncio.run(asked(guard, scope)) for _ in range(REPEATS))
    return guarded - min(asyncio.run(asked(app, scope)) for _ in range(REPEATS))


if __name__ == "__main__":
    main()
