"""What every answer says to a browser, whatever was asked."""

import pytest

from tests.api.api_process import EXAMPLE, ApiProcess

NOTHING = "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/predict"),
        ("GET", "/predict"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("HEAD", "/health"),
    ],
)
def test_no_answer_is_guessed_at_kept_framed_or_told_on(api: ApiProcess, method: str, path: str) -> None:
    response = api.client.request(method, path, content=EXAMPLE if method == "POST" else None)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers.get_list("content-security-policy") == [NOTHING]


@pytest.mark.parametrize("path", ["/predict", "/health", "/docs", "/nothing", "/static-offline-docs/favicon.png"])
def test_no_answer_tells_a_version(api: ApiProcess, path: str) -> None:
    headers = api.client.get(path).headers
    assert not any(character.isdigit() for character in headers.get("server", ""))
    assert "x-powered-by" not in headers


def test_the_page_may_run_its_own_scripts_alone(api: ApiProcess) -> None:
    response = api.client.get("/docs")
    [policy] = response.headers.get_list("content-security-policy")
    directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    assert "unsafe" not in directives["script-src"]
    assert "'sha256-" in directives["script-src"]
    assert (directives["default-src"], directives["connect-src"]) == ("'none'", "'self'")
    assert directives["frame-ancestors"] == "'none'"
    assert response.headers["cache-control"] == "no-store"


def test_what_the_page_loads_may_be_kept(api: ApiProcess) -> None:
    headers = api.client.get("/static-offline-docs/swagger-ui.css").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "cache-control" not in headers
    assert "etag" in headers
