"""Posts alerts: as they are, in JSON, to any address."""

import asyncio
import contextlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import Final
from urllib.parse import urlsplit

from driftline import __version__
from driftline.errors import SinkError
from driftline.monitor import alert as form
from driftline.monitor.alert import Alert

_ABOUT_THIS_ALERT: Final = frozenset({400, 413, 415, 422})
"""Answers after which another alert may still be taken."""
_LONGEST_RETRY_S: Final = 86_400.0
"""A number with hundreds of digits would be infinite."""
_EXCERPT_BYTES: Final = 200


class WebhookSink:
    """Posts each alert as JSON; what is sent again has the same header ``Idempotency-Key``.

    Args:
        url: Where to; holds a secret, so it is in no error.
        timeout_s: Longest wait for the receiver at each step: for a connection, and for each part of an answer.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s

    async def send(self, alert: Alert) -> None:
        """Returns when the receiver has answered with a 2xx.

        Raises:
            SinkError: It has not.
        """
        await post(self._url, form.encode(alert), {"Idempotency-Key": alert.notice_id}, self._timeout_s)


async def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> None:
    """Posts JSON in a thread; returns when a 2xx has come back.

    Raises:
        SinkError: None has. Its message holds the receiver's host, and no more of the address.
    """
    await asyncio.to_thread(_post, url, body, headers, timeout_s)


def _post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> None:
    request = urllib.request.Request(  # noqa: S310 (the settings take http and https only)
        url,
        body,
        {"Content-Type": "application/json", "User-Agent": f"driftline/{__version__}", **headers},
        method="POST",
    )
    host = urlsplit(url).hostname
    try:
        with _opener().open(request, timeout=timeout_s):
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(host, error) from None
    except urllib.error.URLError as error:
        raise SinkError(f"{host} cannot be reached: {_reason(error.reason)}") from None
    except TimeoutError:
        raise SinkError(f"{host} has not answered within {timeout_s:g} s") from None
    except (OSError, UnicodeError, http.client.HTTPException) as error:  # Unicode: a host that can be no name
        raise SinkError(f"{host} has not answered: {_reason(error)}") from None


def _opener() -> urllib.request.OpenerDirector:
    """An opener that heeds ``HTTPS_PROXY`` and follows no redirect.

    A redirected POST would arrive as a GET, without the alert, and be taken for delivered.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _refusal(host: str | None, error: urllib.error.HTTPError) -> SinkError:
    # A server that is itself in trouble may say more than it should; what it says of our request is worth a look.
    said = ""
    with contextlib.suppress(OSError, http.client.HTTPException):
        said = " ".join(error.read(_EXCERPT_BYTES).decode("utf-8", "replace").split())
    return SinkError(
        f"{host} has answered {error.code}{f': {said}' if said else ''}",
        refused=error.code in _ABOUT_THIS_ALERT,
        retry_after_s=_retry_after_s(error.headers),
    )


def _retry_after_s(headers: Message) -> float | None:
    """The header ``Retry-After`` in seconds; None if there is none, or a date."""
    value = headers.get("Retry-After", "")
    return min(float(value), _LONGEST_RETRY_S) if value.isascii() and value.isdecimal() else None


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return (getattr(error, "strerror", None) or type(error).__name__) if isinstance(error, Exception) else str(error)
