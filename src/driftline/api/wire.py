"""What a connection is written to, and the bytes of heads: below what decides."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

from httptools import HttpParserInvalidURLError, parse_url
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from driftline.api.docs import safe_headers
from driftline.contract.problems import Answer

if TYPE_CHECKING:
    import asyncio

CLOSE_LINE: Final = b"connection: close\r\n"


class Flow(FlowControl):
    """When a client is read from: not while requests of its wait for their turn, or answers for it to take them."""

    def __init__(self, transport: "asyncio.Transport", pipeline: Collection[object]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Reads on if there is nothing to wait for."""
        if not (self._pipeline or self.write_paused or self._transport.is_closing()):
            super().resume_reading()


class Wire:
    """What an answer of the application's is written to: the transport, but for how it ends.

    Args:
        close: Ends the connection.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self.close: Final = close

    def use(self, transport: "asyncio.Transport") -> None:
        """Takes what is left as it is from the transport."""
        self.write = transport.write
        self.is_closing = transport.is_closing


def has_path(url: bytes) -> bool:
    """Whether what a request asks for can be looked for."""
    try:
        return url.startswith(b"/") or parse_url(url).path is not None
    except HttpParserInvalidURLError:
        return False


def head_without_upgrade(method: bytes, url: bytes, version: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns the head of a request that asks for no other protocol."""
    kept = [b"%b: %b" % (name, value) for name, value in headers if name != b"upgrade"]
    return b"\r\n".join([b"%b %b HTTP/%b" % (method, url, version), *kept, b"\r\n"])


def bare(status: int, date: bytes, *lines: bytes) -> bytes:
    """Returns an answer without a body, which is the last on its connection.

    Args:
        status: What it says.
        date: The header, with its line break.
        lines: Further ones.
    """
    return b"".join([STATUS_LINE[status], date, *lines, b"content-length: 0\r\n", CLOSE_LINE, b"\r\n"])


def head_of(answer: Answer, date: bytes, *, path: str, last: bool) -> tuple[bytes, bytes]:
    """Returns what comes before the length of the body, and between that and the body; the same as the application's.

    Args:
        answer: What it says.
        date: The header, with its line break.
        path: Where it was asked for.
        last: Whether the connection ends with it.
    """
    own = [b"%b: %b\r\n" % (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    safe = [b"%b: %b\r\n" % header for header in safe_headers(path)]
    return (
        b"".join([STATUS_LINE[answer.status], date, *own, b"content-length: "]),
        b"".join([b"\r\n", *safe, CLOSE_LINE if last else b"", b"\r\n"]),
    )
