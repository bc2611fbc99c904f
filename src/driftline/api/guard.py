"""Who is let in: the layer of the application that asks for an API key, and lets each ask as often as it may."""

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from driftline.api.keys import Key, by_id, find_key, read_keys
from driftline.api.metrics import REFUSED
from driftline.api.observe import respond
from driftline.api.rates import Rates
from driftline.api.routes import Routes
from driftline.contract.problems import Answer, problem
from driftline.errors import KeysError

log = structlog.get_logger()

OPEN: Final = frozenset({"/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/ping"})
"""What a probe asks has to be answered to whoever asks: it has no key."""

READ_AGAIN_S: Final = 1.0
_BEARER: Final = b"bearer "
_CHALLENGE: Final = 'Bearer realm="driftline"'
_HOW: Final = "Send a key as Authorization: Bearer KEY, or as X-API-Key: KEY."

_MISSING: Final = problem("key_missing", _HOW, headers=(("www-authenticate", _CHALLENGE),))
_UNKNOWN: Final = problem(
    "key_unknown",
    "It is wrong, or was revoked.",
    headers=(("www-authenticate", f'{_CHALLENGE}, error="invalid_token"'),),
)


class KeyRing:
    """The keys of a file, which is read again when it has changed.

    A file that cannot be read, or makes no sense, changes nothing: those stay in who were, and the log says so. Where
    it cannot be read at the start, nobody is let in until it can.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[bytes, Key] = {}
        self._seen: tuple[int, ...] | None = None
        self._refused = ""
        self._look_at = -math.inf
        self._look()

    def find(self, token: bytes, now: float) -> Key | None:
        """Returns whose key this is, by what the file said at most a second before ``now`` (``time.monotonic``)."""
        self._look_now_and_then(now)
        return find_key(self._keys, token)

    def knows(self, key_id: bytes, now: float) -> bool:
        """Whether there is a key of this id; that somebody has the key itself must have been seen before."""
        self._look_now_and_then(now)
        return key_id in self._keys

    def _look_now_and_then(self, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + READ_AGAIN_S
            self._look()

    def _look(self) -> None:
        try:
            status = self._path.stat()
            seen: tuple[int, ...] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        except OSError:
            seen = ()
        if seen == self._seen:
            return
        try:
            self._keys = by_id(read_keys(self._path).values())
        except KeysError as error:  # it is read again until it can be, for that may not change the file
            if error.message != self._refused:
                log.error("keys.refused", error=error.message, kept=len(self._keys))
            self._refused = error.message
        else:
            self._seen, self._refused = seen, ""
            log.info("keys.read", keys=len(self._keys))


class Guard:
    """Decides who is let in.

    Args:
        keys: Who that is.
        rates: How often each has asked.
    """

    def __init__(self, keys: KeyRing, rates: Rates) -> None:
        self._keys = keys
        self._rates = rates

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, Answer] | None:
        """Returns the code of a refusal with its answer, or None for who is let in, which counts as having asked."""
        token = credential(headers)
        if token is None:
            return "key_missing", _MISSING
        now = time.monotonic()
        key = self._keys.find(token, now)
        if key is None:
            return "key_unknown", _UNKNOWN
        if key.rate_per_s is None:
            return None
        wait_s = self._rates.take(key.slot, key.rate_per_s, now)
        if not wait_s:
            return None
        detail = f"The key {key.name} may ask {key.rate_per_s:g} times a second."
        return "rate_limited", problem("rate_limited", detail, retry_after_s=math.ceil(wait_s))


class Guarded:
    """ASGI middleware with a guard.

    Args:
        app: What answers those who are let in.
        guard: Decides who that is.
        routes: What is known of each path.
    """

    def __init__(self, app: ASGIApp, guard: Guard, routes: Routes) -> None:
        self._app = app
        self._guard = guard
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or lets the application do it."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            refusal = self._guard.refusal(scope["headers"])
            if refusal is not None:
                code, answer = refusal
                place = self._routes.place(scope["path"])
                if place.kept:
                    REFUSED[code].inc()
                await respond(place.told(answer))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def credential(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Returns the key that a request brings; ``Authorization: Bearer`` goes before ``X-API-Key``.

    Another scheme of ``Authorization`` is for somebody on the way to us, a proxy perhaps, and is not looked at.
    """
    by_header = None
    for name, value in headers:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
        if name == b"x-api-key":
            by_header = value.strip()
    return by_header
