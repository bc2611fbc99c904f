"""What browsers send: queries and forms, of which nothing is believed."""

from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

MOST_BYTES: Final = 4096
MOST_DIGITS: Final = 15
_TOO_LARGE: Final = 413


async def read_form(request: Request) -> dict[str, str]:
    """Returns the fields of a form.

    Raises:
        HTTPException: It is longer than any of ours can be.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(_TOO_LARGE, "That is too long.")
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def whole(text: str | None) -> int | None:
    """Returns a whole number that is not negative; None if it is no such one."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def choice(request: Request, name: str, choices: tuple[int, ...]) -> int:
    """Returns which of some numbers a query names; the first if none."""
    value = whole(request.query_params.get(name))
    return value if value in choices else choices[0]


def own_path(path: str) -> str:
    """Returns the path, if it can only lead to a page of ours; else that to the first one."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def time_us(text: str) -> int | None:
    """Returns the time that a browser's field names, taken for UTC; None for an empty one.

    Raises:
        ValueError: It names none.
    """
    if not text:
        return None
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)
