"""The page with the documentation, and the headers that keep a browser from doing more than we mean it to."""

import base64
import hashlib
import html
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Final

from starlette.responses import HTMLResponse

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
_SCRIPT: Final = f"""
SwaggerUIBundle({{url: "{OPENAPI}", dom_id: "#swagger-ui", deepLinking: true, layout: "BaseLayout"}})
"""
_PAGE: Final = Template(f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="{STATIC}/favicon.png">
<link rel="stylesheet" href="{STATIC}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{STATIC}/swagger-ui-bundle.js"></script>
<script>{_SCRIPT}</script>
</body>
</html>
""")


def safe_headers(path: str) -> RawHeaders:
    """Returns the headers that every answer at a path has beside its own."""
    if path == DOCS:
        return _UNCACHED  # it brings a policy of its own
    if path.startswith(STATIC):
        return _ALWAYS
    return _NOT_A_PAGE


def static_files() -> Path:
    """Returns the directory with Swagger UI; what brings it is not imported, as that takes half a second."""
    spec = find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "static"


def docs_page(title: str) -> HTMLResponse:
    """Returns the page, which may run its own scripts and no other, and talk to this server alone."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = _PAGE_POLICY.format(script=f"'sha256-{digest}'")
    page = _PAGE.substitute(title=html.escape(f"{title} - Swagger UI"))
    return HTMLResponse(page, headers={"content-security-policy": policy})
