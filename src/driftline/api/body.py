"""Reading a request from the framework: its headers, and a body that cannot be too long or take for ever."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope

from driftline.api.predict import too_large
from driftline.errors import InputError

BODY_TIMEOUT_S: Final = 30.0
BROKEN: Final = "driftline.broken"
"""What the scope of a request has whose body broke off, although the client may still read an answer."""
SLOW: Final = "driftline.slow"
"""What the scope of a request has whose body has been waited for already."""
REST_S: Final = 0.5
REST_MAX_BYTES: Final = 65536
_LENGTH_DIGITS = 18


def read_headers(request: Request) -> dict[str, str]:
    """Returns the headers by their names in lower case; one that comes several times is joined (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def read_body(request: Request, max_bytes: int, reading: set[asyncio.Timeout]) -> bytes:
    """Returns the body; one that is too long is not read to its end.

    Args:
        request: The request.
        max_bytes: Longer ones are refused.
        reading: Where the timeout is to be found meanwhile, by who wants to end the wait.

    Raises:
        InputError: It is longer than ``max_bytes``, broke off, or did not arrive in time.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > _LENGTH_DIGITS or int(announced) > max_bytes):
        raise too_large(max_bytes)
    chunks: list[bytes] = []
    length = 0
    timeout: asyncio.Timeout | None = None
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S) as timeout:
            reading.add(timeout)
            async for chunk in request.stream():
                chunks.append(chunk)
                length += len(chunk)
                if length > max_bytes:
                    raise too_large(max_bytes)
    except ClientDisconnect as error:
        raise _incomplete() from error
    except TimeoutError as error:
        raise InputError("body_timeout", "The body did not arrive in time.") from error
    finally:
        if timeout is not None:
            reading.discard(timeout)
    if BROKEN in request.scope:
        raise _incomplete()
    return b"".join(chunks)


def _incomplete() -> InputError:
    return InputError("incomplete_body", "The body broke off before its announced end.")


async def read_rest(scope: Scope, receive: Receive) -> bool:
    """Returns whether a request that is answered before its body was read has come to its end, reading on if need be.

    The server closes a connection on which it has to answer before that. A client whose body is on its way would learn
    that from its next request; so what comes at once is awaited, and of the rest the client must be told.
    """
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if length == b"0" and b"transfer-encoding" not in headers:
        return True
    if b"expect" in headers or not length.isdigit() or len(length) > _LENGTH_DIGITS or int(length) > REST_MAX_BYTES:
        return False
    read = 0
    try:
        async with asyncio.timeout(REST_S):
            while read <= REST_MAX_BYTES:
                message = await receive()
                if not message.get("more_body"):
                    return bool(message["type"] == "http.request")
                read += len(message["body"])
    except TimeoutError:
        pass
    return False
