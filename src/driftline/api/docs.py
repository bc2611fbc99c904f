"""The page with the documentation, and the headers that keep a browser from doing more than we mean it to."""

import base64
import hashlib
import re
from typing import Final

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response

DOCS: Final = "/docs"
OPENAPI: Final = "/openapi.json"
STATIC: Final = "/static-offline-docs"

RawHeaders = tuple[tuple[bytes, bytes], ...]

_ALWAYS: Final[RawHeaders] = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_UNCACHED: Final[RawHeaders] = (*_ALWAYS, (b"cache-control", b"no-store"))
_NOT_A_PAGE: Final[RawHeaders] = (
    *_UNCACHED,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

# Swagger UI sets the style of what it draws, and draws its icons from data: addresses.
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self' {script}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def safe_headers(path: str) -> RawHeaders:
    """Returns the headers that every answer at a path has beside its own."""
    if path == DOCS:
        return _UNCACHED  # it brings a policy of its own
    if path.startswith(STATIC):
        return _ALWAYS
    return _NOT_A_PAGE


def docs_page(title: str) -> Response:
    """Returns the page, which may run its own scripts and no other, and talk to this server alone."""
    page = get_swagger_ui_html(
        openapi_url=OPENAPI,
        title=f"{title} - Swagger UI",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
    )
    hashes = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(bytes(page.body)))
    script = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)
    page.headers["content-security-policy"] = _PAGE_POLICY.format(script=script)
    return page
