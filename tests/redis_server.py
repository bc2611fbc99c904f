"""A real Redis as a plain process, to be stopped, killed, frozen and started again by a test."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal, Protocol

import redis

from tests.waiting import find_free_port, wait_until


class NoTlsError(Exception):
    """This server was built without TLS, as the one in the Valkey wheel is; Debian's has it."""


AppendOnly = Literal["no", "everysec", "always"]


def find_redis_server() -> str:
    """The path of a Redis (or Valkey) server program: next to the running Python, or on PATH."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("redis-server", path=places) or shutil.which("valkey-server", path=places)
    if program is None:
        raise RuntimeError("the tests need a real redis-server: `make test` brings one, or install the package")
    return program


class RedisServer:
    """One server on a port of its own; it keeps the port and its directory over restarts.

    Args:
        directory: Its working directory, where the append-only file is kept too; made if need be.
        password: Asked of every client; also part of :attr:`url`.
        append_only: "no" forgets everything when killed; the others write every entry to disk.
        tls: Serves TLS only, with a certificate of its own; :attr:`url` is then a ``rediss://`` one.
    """

    def __init__(
        self,
        directory: Path,
        *,
        password: str | None = None,
        append_only: AppendOnly = "no",
        tls: bool = False,
    ) -> None:
        self.directory = directory
        self.password = password
        self.append_only = append_only
        self.tls = tls
        self.port = find_free_port()
        self.log = directory / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for a client, with the password and, for TLS, the certificate to trust."""
        credentials = f":{self.password}@" if self.password else ""
        if self.tls:
            return f"rediss://{credentials}127.0.0.1:{self.port}/0?ssl_ca_certs={self._certificate}"
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there; a frozen one is."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when the server answers (or refuses a client without its password: it lives)."""
        assert not self.running, "the server is running already"
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [find_redis_server(), *self._options()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until(self._answers)
        except AssertionError:
            self.kill()
            if "Failed finding TLS support" in self.log.read_text():
                raise NoTlsError from None
            raise RuntimeError(f"redis-server did not start:\n{self.log.read_text()}") from None

    def stop(self) -> None:
        """Ends the server politely; returns when it is gone. Fine to call twice."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """``kill -9``; returns when it is gone. Fine to call twice."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """A polite stop and a start on the same port and directory."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stops it from answering while its connections stay open (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def client(self) -> "redis.Redis":
        """A new synchronous client; close it, or use it in a ``with``."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        if number != signal.SIGKILL:
            process.send_signal(signal.SIGCONT)  # a frozen one would never take notice
        process.wait(timeout=60)

    def _answers(self) -> bool:
        if not self.running:
            raise AssertionError("the server ended")
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _options(self) -> list[str]:
        options = ["--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "", "--daemonize", "no"]
        options += ["--appendonly", "no" if self.append_only == "no" else "yes"]
        if self.append_only != "no":
            options += ["--appendfsync", self.append_only]
        if self.password:
            options += ["--requirepass", self.password]
        if not self.tls:
            return [*options, "--port", str(self.port)]
        self._make_certificate()
        return [
            *options,
            *("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(self._certificate), "--tls-key-file", str(self._key)),
        ]

    @property
    def _certificate(self) -> Path:
        return self.directory / "certificate.pem"

    @property
    def _key(self) -> Path:
        return self.directory / "key.pem"

    def _make_certificate(self) -> None:
        if self._certificate.exists():
            return
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
                *("-keyout", str(self._key), "-out", str(self._certificate)),
            ],
            check=True,
            capture_output=True,
        )


class StartRedis(Protocol):
    """The type of the ``start_redis`` fixture."""

    def __call__(
        self, *, password: str | None = None, append_only: AppendOnly = "no", tls: bool = False
    ) -> RedisServer: ...
