"""What runs in each process of a pool: ``python -m driftline.scoring.pool_process FD PARENT``, which a pool starts.

It is told the package's folder, says whether the model loads, then answers rows with scores until the socket closes. A
process that scores does not look at the socket, so it follows its parent as well.
"""

import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from driftline.contract.package import read_package
from driftline.contract.schema import Value
from driftline.errors import DriftlineError
from driftline.scoring.python import class_model
from driftline.supervisor import follow_parent

Scores = list[float | tuple[float, ...]]

LENGTH: Final = struct.Struct("!Q")
"""Comes before each message, which is MessagePack."""


class Began(msgspec.Struct, tag=True, frozen=True):
    """The first message to a process: the package's folder, and where to look for modules."""

    path: str
    modules: list[str]


class Asked(msgspec.Struct, tag=True, frozen=True):
    """Rows to be scored."""

    rows: list[tuple[Value, ...]]


class Answered(msgspec.Struct, tag=True, frozen=True):
    """The scores of the rows; none to say that the model is loaded."""

    scores: Scores


class Failed(msgspec.Struct, tag=True, frozen=True):
    """Why there is no model, or are no scores."""

    message: str


encode: Final = msgspec.msgpack.Encoder().encode
_decode_began: Final = msgspec.msgpack.Decoder(Began).decode
_decode_asked: Final = msgspec.msgpack.Decoder(Asked).decode
decode_answer: Final = msgspec.msgpack.Decoder(Answered | Failed).decode


def framed(message: msgspec.Struct) -> bytes:
    """Returns the bytes of a message."""
    payload = encode(message)
    return LENGTH.pack(len(payload)) + payload


def read(connection: socket.socket) -> bytes:
    """Returns the payload of the next message.

    Raises:
        EOFError: The other end is gone.
        OSError: The other end has died.
    """
    return _exactly(connection, LENGTH.unpack(_exactly(connection, LENGTH.size))[0])


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def serve(connection: socket.socket) -> None:
    """Returns when the other end is gone."""
    try:
        began = _decode_began(read(connection))
        sys.path[:] = began.modules
        try:
            model: Any = class_model(read_package(Path(began.path)))
        except DriftlineError as error:
            connection.sendall(framed(Failed(error.message)))
            return
        connection.sendall(framed(Answered([])))
        while True:
            asked = _decode_asked(read(connection))
            try:
                answer: msgspec.Struct = Answered(model.score(asked.rows))
            except DriftlineError as error:
                answer = Failed(error.message)
            connection.sendall(framed(answer))
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    # A signal to all processes of a group is for the one that has the requests: it lets these go when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    follow_parent(int(sys.argv[2]), grace_s=0.0)  # there is nothing to be brought to an end, and nobody to tell
    serve(socket.socket(fileno=int(sys.argv[1])))
