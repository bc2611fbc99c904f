"""How long it takes from the start of ``driftline serve`` to its first answer, against importing FastAPI alone."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from bench_serve.ours import serve
from bench_serve.running import end, used_s
from bench_serve.stacks import BODY, Place
from cores import Cores
from stack import free_port

LOOK_S = 0.002
WITHIN_S = 60.0
REQUEST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
OURS, IMPORT = "driftline serve", "import fastapi"


def starts(rounds: int, cores: Cores) -> dict[str, Any]:
    """Seconds on the clock and of CPU of each start, in turn, after one that does not count; as JSON takes it."""
    ways: dict[str, Callable[[Cores], tuple[float, float]]] = {OURS: until_answer, IMPORT: until_imported}
    found: dict[str, Any] = {name: {"wall_s": [], "cpu_s": []} for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            wall_s, cpu_s = way(cores)
            if number:
                found[name]["wall_s"].append(wall_s)
                found[name]["cpu_s"].append(cpu_s)
    return found


def until_answer(cores: Cores) -> tuple[float, float]:
    """From exec to the first 200 of ``/predict``, in an empty folder."""
    with TemporaryDirectory() as directory:
        place = Place(Path(directory), free_port(), "")
        command = cores.for_server(serve(place))
        began = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=directory, start_new_session=True)
        try:
            while not answers(place.port):
                if time.perf_counter() - began > WITHIN_S:
                    raise TimeoutError(f"driftline serve did not answer within {WITHIN_S:.0f} s")
                time.sleep(LOOK_S)
            return time.perf_counter() - began, used_s(psutil.Process(process.pid))
        finally:
            end(process)


def answers(port: int) -> bool:
    """Whether a prediction is answered with 200."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as connection:
        connection.sendall(REQUEST % (len(BODY), BODY))
        return connection.recv(65536).startswith(b"HTTP/1.1 200")
    return False


def until_imported(cores: Cores) -> tuple[float, float]:
    """From exec until a Python that imports FastAPI has ended."""
    began = time.perf_counter()
    process = subprocess.Popen(cores.for_server([sys.executable, "-c", "import fastapi"]))
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("fastapi cannot be imported")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime
