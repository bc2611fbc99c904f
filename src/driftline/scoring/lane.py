"""One process of a pool, and the socket through which it is asked."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from driftline.contract.schema import Score
from driftline.errors import ModelError, ScoringError, ScoringTimeoutError
from driftline.scoring.pool_process import LENGTH, Began, Failed, decode_answer, framed, read

log = structlog.get_logger()

LOAD_S: Final = 300.0
"""A process that replaces another one may take so long to load the model, which has been loaded before."""

_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Lane:
    """A process that scores one call at a time. It is a new interpreter: this one has threads and an event loop.

    Args:
        package: The folder of the model package.
    """

    def __init__(self, package: Path) -> None:
        self._package = package
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Starts the process; it has loaded the model when :meth:`wait_loaded` returns."""
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            told = (str(theirs.fileno()), str(os.getpid()))
            command = (sys.executable, "-m", "driftline.scoring.pool_process", *told)
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), env={**os.environ, **_ONE_THREAD}
            )
        ours.sendall(framed(Began(os.fspath(self._package.absolute()), sys.path)))

    def wait_loaded(self) -> None:
        """Returns when the process has loaded the model.

        Raises:
            ModelError: It cannot.
        """
        assert self._socket is not None
        try:
            answer = decode_answer(read(self._socket))
        except (EOFError, OSError) as error:
            raise ModelError("the model's process has died as it loaded the model") from error
        if isinstance(answer, Failed):
            raise ModelError(answer.message)

    def ask(self, message: bytes) -> list[Score]:
        """Returns the scores that an ``Asked`` asks for.

        Raises:
            ScoringError: The model fails, or cannot be loaded again.
            EOFError: The process has died.
            OSError: The process has died.
        """
        if not self._alive():
            self.start()
            self._scores(read(self._connection(blocking=True)))
        connection = self._connection(blocking=True)
        connection.sendall(message)
        return self._scores(read(connection))

    async def ask_async(self, message: bytes, timeout_s: float) -> list[Score]:
        """Returns the scores that an ``Asked`` asks for, and lets others run meanwhile.

        Args:
            message: The ``Asked``, framed.
            timeout_s: How long scoring may take; a model that has to be loaded again first has :data:`LOAD_S` for it.

        Raises:
            ScoringTimeoutError: It takes longer. The process is still at it: end the lane.
            ScoringError: The model fails, or cannot be loaded again.
            EOFError: The process has died.
            OSError: The process has died.
        """
        loop = asyncio.get_running_loop()
        if not self._alive():
            self.start()
            async with _within(LOAD_S, "load"):
                loaded = await _read(loop, self._connection(blocking=False))
            self._scores(loaded)
        connection = self._connection(blocking=False)
        async with _within(timeout_s, "score"):
            await loop.sock_sendall(connection, message)
            answer = await _read(loop, connection)
        return self._scores(answer)

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Ends the process, and closes the socket, which nobody may be waiting at."""
        self.kill()
        if self._socket is not None:
            self._socket.close()
        self._process = self._socket = None

    def _alive(self) -> bool:
        if self._process is None:
            return False
        if (status := self._process.poll()) is None:
            return True
        log.warning("model.process_died", pid=self._process.pid, status=status)
        self.end()
        return False

    def _connection(self, *, blocking: bool) -> socket.socket:
        assert self._socket is not None
        self._socket.setblocking(blocking)
        return self._socket

    def _scores(self, payload: bytes) -> list[Score]:
        answer = decode_answer(payload)
        if isinstance(answer, Failed):
            raise ScoringError(answer.message)
        return list(answer.scores)


@asynccontextmanager
async def _within(timeout_s: float, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise ScoringTimeoutError(f"the model takes longer than {timeout_s:g} s to {what}") from error


async def _read(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    size = LENGTH.unpack(await _exactly(loop, connection, LENGTH.size))[0]
    return await _exactly(loop, connection, size)


async def _exactly(loop: asyncio.AbstractEventLoop, connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = await loop.sock_recv(connection, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
