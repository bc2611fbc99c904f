"""A served API for tests: a process of its own, spoken to over HTTP, its outboxes read from disk."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from driftline.contract.package import seed_schema
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from tests.waiting import find_free_port, wait_until

SERVING = Path(__file__).parent / "serving.py"
EXAMPLE = json.dumps(seed_schema().example).encode()
JSON_TYPE = {"content-type": "application/json"}


class ApiProcess:
    """One running server, on a free port of 127.0.0.1 unless one is named."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        processes: int = 1,
        tls: tuple[Path, Path] | None = None,
        **config: Any,
    ) -> None:
        self.directory = directory
        self.port = port or find_free_port()
        self.log_file = directory / "server.log"
        self._processes = processes
        spec = {"directory": str(directory), "port": self.port, "processes": processes, "config": config, "tls": tls}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, str(SERVING), json.dumps(spec, default=str)], stderr=log)
        trust = ssl.create_default_context(cafile=str(tls[0])) if tls else True
        scheme = "https" if tls else "http"
        self.client = httpx.Client(base_url=f"{scheme}://127.0.0.1:{self.port}", timeout=30, verify=trust)

    def _all_started(self) -> bool:
        return self.answers() and self.log().count("api.started") >= self._processes

    def wait_until_up(self) -> None:
        wait_until(lambda: self._all_started() or self.process.poll() is not None, within_s=60)
        assert self.answers(), self.log()

    def answers(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def predict(self, body: bytes = EXAMPLE, headers: Mapping[str, str] = JSON_TYPE) -> httpx.Response:
        return self.client.post("/predict", content=body, headers=headers)

    def send_raw(self, request: bytes, *, half_close: bool = False) -> bytes:
        """What comes back until the server closes, or nothing more comes for a while."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            try:
                connection.sendall(request)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
                return receive(connection)
            except ConnectionError:
                return b""

    def events(self) -> list[dict[str, Any]]:
        """All events in the outboxes, in no particular order."""
        root = OutboxRoot(self.directory / "outbox")
        found = []
        for producer in root.producers():
            reader = OutboxReader(root, producer)
            reader.seek(0)
            while chunk := reader.read(1000, 1 << 20).events:
                found += [json.loads(event) for event in chunk]
            reader.close()
        return found

    def metrics(self) -> dict[str, float]:
        return parse_samples(self.client.get("/metrics").text)

    def workers(self) -> list[int]:
        """The pids of the processes that answer."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stops the server as its supervisor would; its exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        self.client.close()
        return self.process.wait(60)


def parse_samples(text: str) -> dict[str, float]:
    """The value of each sample by its name with labels."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def receive(connection: socket.socket) -> bytes:
    """One response, or what came of it before the connection was closed or reset."""
    received = b""
    with suppress(ConnectionError):
        while not is_whole(received) and (chunk := connection.recv(65536)):
            received += chunk
    return received


def is_whole(response: bytes) -> bool:
    head, end, rest = response.partition(b"\r\n\r\n")
    if end and head.startswith(b"HTTP/1.1 1"):
        return is_whole(rest)  # that was none yet
    for line in head.lower().split(b"\r\n")[1:]:
        if line.startswith(b"content-length:"):
            return bool(end) and len(rest) >= int(line.partition(b":")[2])
    return False


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1]) if response else 0


def code_of(response: bytes) -> str:
    return str(json.loads(response.partition(b"\r\n\r\n")[2])["code"])
