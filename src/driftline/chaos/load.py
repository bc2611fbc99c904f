"""Clients that never stop asking: several connections, each with one request at a time."""

import asyncio
import time
import uuid
from typing import Final

import msgspec

from driftline.chaos.history import History
from driftline.chaos.requests import Requests

_ANSWER_WITHIN_S: Final = 5.0
_CONNECT_WITHIN_S: Final = 2.0
_AGAIN_AFTER_S: Final = 0.05
_OK: Final = 200
_TAKEN: Final = b'{"accepted":1}'
_HEAD: Final = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class _Answer(msgspec.Struct):
    request_id: uuid.UUID
    probability: float
    predicted_class: int


class _GarbledError(Exception):
    """Not HTTP as we know it, or a 200 that says something else than it should."""


class Load:
    """Asks for predictions and gives feedback until it is stopped, and notes what comes of each request.

    No request is sent twice: one whose connection dies stays unknown, and the next one is another.

    Args:
        port: Of the API, on 127.0.0.1.
        requests: What is asked.
        history: Where the outcomes go.
        connections: How many clients there are.
        rate: Requests a second, of all together, while the API keeps up.
    """

    def __init__(self, port: int, requests: Requests, history: History, connections: int, rate: float) -> None:
        self._port = port
        self._requests = requests
        self._history = history
        self._connections = connections
        self._pause_s = connections / rate
        self._decode = msgspec.json.Decoder(_Answer).decode
        self._stopping = False

    async def run(self) -> None:
        """Returns when it has been stopped and all have their answers, or have given up on them."""
        async with asyncio.TaskGroup() as clients:
            for _ in range(self._connections):
                clients.create_task(self._ask())

    def stop(self) -> None:
        """Lets each client finish the request that it is at."""
        self._stopping = True

    async def _ask(self) -> None:
        while not self._stopping:
            try:
                async with asyncio.timeout(_CONNECT_WITHIN_S):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except (OSError, TimeoutError):
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            try:
                await self._converse(reader, writer)
            except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
                await asyncio.sleep(_AGAIN_AFTER_S)
            finally:
                writer.close()  # not reset: what was sent may still be read, and kept

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        due = time.monotonic()
        keeps_alive = True
        while keeps_alive and not self._stopping:
            number = self._history.next_number()
            body = self._requests.body(number)
            path = b"/predict" if self._requests.told(number) is None else b"/feedback"
            writer.write(_HEAD % (path, len(body)) + body)
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    status, keeps_alive, content = await _read_response(reader)
                self._note(number, status, content)
            except _GarbledError:
                self._history.garbled(number)
                return
            due = max(due + self._pause_s, time.monotonic() - self._pause_s)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _note(self, number: int, status: int, content: bytes) -> None:
        if status != _OK:
            self._history.refused(number, status)
            return
        told = self._requests.told(number)
        if told is not None:
            if content != _TAKEN:
                raise _GarbledError
            self._history.answered(number, told.request_id, 0.0, told.outcome)
            return
        try:
            answer = self._decode(content)
        except msgspec.MsgspecError as error:
            raise _GarbledError from error
        self._history.answered(number, str(answer.request_id), answer.probability, answer.predicted_class)


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """The status, whether the connection may be used again, and the body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.lower().split(b"\r\n")
    version, _, rest = status_line.partition(b" ")
    headers = {name.strip(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    length = headers.get(b"content-length", b"")
    if version != b"http/1.1" or not rest[:3].isdigit() or not length.isdigit():
        raise _GarbledError
    return int(rest[:3]), headers.get(b"connection") != b"close", await reader.readexactly(int(length))
