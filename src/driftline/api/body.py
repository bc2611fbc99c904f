"""Reading a request from the framework: its headers, and a body that cannot be too long or take for ever."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from driftline.api.predict import too_large
from driftline.errors import InputError

BODY_TIMEOUT_S: Final = 30.0
_LENGTH_DIGITS = 18


def read_headers(request: Request) -> dict[str, str]:
    """Returns the headers by their names in lower case; one that comes several times is joined (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Returns the body; one that is too long is not read to its end.

    Raises:
        InputError: It is longer than ``max_bytes``, broke off, or did not arrive in time.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > _LENGTH_DIGITS or int(announced) > max_bytes):
        raise too_large(max_bytes)
    chunks: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                chunks.append(chunk)
                length += len(chunk)
                if length > max_bytes:
                    raise too_large(max_bytes)
    except ClientDisconnect as error:  # the client may still be listening: its framing may be what is wrong
        raise InputError("incomplete_body", "The body broke off before its announced end.") from error
    except TimeoutError as error:
        raise InputError("body_timeout", f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds.") from error
    return b"".join(chunks)
