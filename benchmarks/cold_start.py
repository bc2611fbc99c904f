"""Cold start: from exec to the first 200 of ``/predict``, beside what it takes to import FastAPI alone.

    python benchmarks/cold_start.py                # ten rounds; ends with 1 if `serve` takes more than twice as long
    python benchmarks/cold_start.py --rounds 30

The disk cache is warm and all bytecode is there: a round that does not count comes first, and may write it. In each
round every command starts once, `serve` and `up` in a fresh data directory; somebody asks their port every millisecond
until it answers.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from stack import free_port, installed, tree, used_s

RATIO_MAX = 2.0
ROUNDS = 10
PATIENCE_S = 30.0
ASK_EVERY_S = 0.001
BODY = b'{"feature_1": 1.5, "feature_2": -0.7}'
REQUEST = (
    b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
IMPORT = "import fastapi"
SERVE = "driftline serve"
UP = "driftline up"


class Start(NamedTuple):
    """What one start took, in seconds: by the clock, and of the processors, all its processes together."""

    wall_s: float
    cpu_s: float


def measure(rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Medians of the rounds by command: ``wall_s``, ``cpu_s``, and of their ratios to ``import fastapi``."""
    commands: dict[str, Callable[[], Start]] = {
        IMPORT: imported,
        SERVE: lambda: served("serve"),
        UP: lambda: served("up", "--metrics-port", "0", "--console-port", "0", "--monitor-metrics-port", "0"),
    }
    starts: dict[str, list[Start]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, start in commands.items():
            took = start()
            if number:  # the first one fills the caches
                starts[name].append(took)
    return {name: figures(each, starts[IMPORT]) for name, each in starts.items()}


def figures(starts: list[Start], alone: list[Start]) -> dict[str, float]:
    """Medians of starts, and of their ratios to the others, round by round."""
    rounds = list(zip(starts, alone, strict=True))
    return {
        "wall_s": statistics.median(each.wall_s for each in starts),
        "cpu_s": statistics.median(each.cpu_s for each in starts),
        "wall_ratio": statistics.median(each.wall_s / other.wall_s for each, other in rounds),
        "cpu_ratio": statistics.median(each.cpu_s / other.cpu_s for each, other in rounds),
    }


def environment() -> dict[str, str]:
    """Our variables, without what would set Driftline, or have each start compile its modules anew."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DRIFTLINE_") and name not in {"REDIS_URL", "PYTHONDONTWRITEBYTECODE"}
    }


def imported() -> Start:
    """How long Python takes to import FastAPI, from exec to its end."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", IMPORT], env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("FastAPI cannot be imported here")
    return Start(wall_s, usage.ru_utime + usage.ru_stime)


def served(command: str, *options: str) -> Start:
    """How long a command takes from exec to its first prediction."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="cold-start-") as directory, (Path(directory) / "log").open("wb") as log:
        arguments = [installed("driftline"), command, "--data", f"{directory}/data", "--port", str(port), *options]
        began = time.perf_counter()
        process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environment())
        try:
            while not predicts(port):
                if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    raise RuntimeError(f"{command} does not serve: {Path(log.name).read_text()}")
                time.sleep(ASK_EVERY_S)
            wall_s = time.perf_counter() - began
            cpu_s = used_s(psutil.Process(process.pid))
        finally:
            kill(process)
    return Start(wall_s, cpu_s)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all it has started; a polite end would wait for somebody to fetch the event."""
    for each in tree(psutil.Process(process.pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait(PATIENCE_S)


def predicts(port: int) -> bool:
    """Whether a prediction is answered with 200; waits where somebody listens and has not answered yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall(REQUEST)
            return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def main() -> int:
    """Measures, says what holds, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="the figures for a program")
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write(f"{'':<16} {'wall ms':>8} {'CPU ms':>8} {'wall x':>7} {'CPU x':>7}\n")
        for name, each in found.items():
            times = f"{1000 * each['wall_s']:>8.0f} {1000 * each['cpu_s']:>8.0f}"
            sys.stdout.write(f"{name:<16} {times} {each['wall_ratio']:>7.2f} {each['cpu_ratio']:>7.2f}\n")
    return 0 if found[SERVE]["wall_ratio"] <= RATIO_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
