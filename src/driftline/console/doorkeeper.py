"""Who is let in, what a browser may do with our pages, and which pages may ask us for something."""

import ipaddress
import time
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftline.api.guard import KeyRing, credential
from driftline.console.sessions import COOKIE, Sessions

LOGIN: Final = "/login"
STATIC: Final = "/static"
REPORT_PAGE: Final = "/page"
"""How the path of a report itself ends."""

_ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A report is a page of Evidently's with scripts of its own: it runs apart from us, and can ask nobody for anything.
_REPORT_POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_READS: Final = {"GET", "HEAD"}


class Doorkeeper:
    """ASGI middleware.

    Args:
        app: What answers those who are let in.
        keys: The keys that are asked for; None asks for none.
        any_host: See :class:`driftline.console.config.ConsoleConfig`.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing | None, sessions: Sessions | None, any_host: bool) -> None:
        self._app = app
        self._keys = keys
        self._sessions = sessions
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or lets the application do it; every answer gets its headers here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers[name] = value
                headers["content-security-policy"] = _REPORT_POLICY if path.endswith(REPORT_PAGE) else _POLICY
                headers["cache-control"] = "no-cache" if path.startswith(STATIC) else "no-store"
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._keys is None and not self._any_host and not _is_local(headers.get("host", "")):
            reason = "Without keys this console answers only to an IP address or localhost: see docs/console.md.\n"
            return PlainTextResponse(reason, status_code=421)
        if scope["method"] not in _READS and not _is_our_own(headers):
            return PlainTextResponse("Another page cannot ask for this.\n", status_code=403)
        path = scope["path"]
        if path == LOGIN or path.startswith(STATIC) or self._lets_in(headers, scope):
            return None
        if scope["method"] in _READS and "text/html" in headers.get("accept", ""):
            asked = path + (f"?{query}" if (query := scope["query_string"].decode("latin-1")) else "")
            return RedirectResponse(f"{LOGIN}?next={quote(asked, safe='')}", status_code=303)
        return PlainTextResponse(
            "Send a key as Authorization: Bearer KEY, or as X-API-Key: KEY.\n",
            status_code=401,
            headers={"www-authenticate": 'Bearer realm="driftline"'},
        )

    def _lets_in(self, headers: Headers, scope: Scope) -> bool:
        if self._keys is None or self._sessions is None:
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if cookie is not None and self._sessions.holds(cookie, time.time(), time.monotonic()):
            return True
        token = credential(scope["headers"])
        return token is not None and self._keys.find(token, time.monotonic()) is not None


def _is_local(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.removeprefix("[").removesuffix("]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_our_own(headers: Headers) -> bool:
    """Whether a form was sent by a page of ours, or by no browser."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    return origin.partition("://")[2] == headers.get("host", "")
