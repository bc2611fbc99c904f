"""Who is let in, and what a browser may do with what it gets."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import expect

from driftline.api.guard import KeyRing
from driftline.api.keys import add_key, revoke_key
from driftline.api.tls import Tls
from driftline.console.server import serving_console
from driftline.console.sessions import COOKIE, SESSION_S, Sessions
from driftline.errors import PortError
from tests.certificates import make_pair
from tests.console.conftest import OpenPage, config_of, served
from tests.console.world import World
from tests.waiting import wait_until

HTML = {"accept": "text/html"}


class Guarded(NamedTuple):
    address: str
    keys: Path
    key: str


@pytest.fixture
def guarded(world: World, tmp_path: Path) -> Iterator[Guarded]:
    keys = tmp_path / "keys.toml"
    key = add_key(keys, "me")
    with served(config_of(world.data, keys=keys)) as address:
        yield Guarded(address, keys, key)


def log_in(guarded: Guarded) -> httpx.Client:
    client = httpx.Client(base_url=guarded.address)
    answer = client.post("/login", data={"key": guarded.key, "next": "/quality"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/quality")
    return client


def test_without_a_key_there_is_nothing_but_the_way_in(guarded: Guarded) -> None:
    for path in ("/", "/columns?name=income", "/predictions", "/alerts", "/reports", "/events", "/nothing"):
        assert httpx.get(guarded.address + path).status_code == 401, path
        asked = httpx.get(guarded.address + path, headers=HTML)
        assert asked.status_code == 303, path
        assert asked.headers["location"].startswith("/login?next=%2F"), path
    assert httpx.post(f"{guarded.address}/reports").status_code == 401


def test_a_browser_logs_in_and_out(guarded: Guarded, open_page: OpenPage) -> None:
    page = open_page(f"{guarded.address}/columns?name=income")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    page.get_by_label("API key").fill(guarded.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("income")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_role("button", name="Log out").click()
    page.goto(guarded.address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_wrong_key_gets_no_session(guarded: Guarded) -> None:
    answer = httpx.post(f"{guarded.address}/login", data={"key": guarded.key[:-1] + "!"})
    assert answer.status_code == 401
    assert "This key is wrong" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_session_is_out_of_reach_for_scripts_and_other_sites(guarded: Guarded, world: World) -> None:
    cookie = httpx.post(f"{guarded.address}/login", data={"key": guarded.key}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert guarded.key not in cookie
    with served(config_of(world.data, keys=guarded.keys, secure=True)) as address:
        assert "Secure" in httpx.post(f"{address}/login", data={"key": guarded.key}).headers["set-cookie"]


def test_a_session_ends_when_its_key_is_revoked(guarded: Guarded) -> None:
    with closing(log_in(guarded)) as client:
        assert client.get("/quality").status_code == 200
        add_key(guarded.keys, "other")
        revoke_key(guarded.keys, "me")
        wait_until(lambda: client.get("/quality").status_code == 401)


def test_a_session_is_believed_only_as_it_was_given_and_only_for_its_time(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    key = add_key(keys, "me")
    sessions = Sessions(KeyRing(keys))
    value = sessions.begin(key, 1000.0, 0.0)
    assert value is not None
    assert sessions.holds(value, 1000.0, 0.0)
    assert not sessions.holds(value, 1001.0 + SESSION_S, 0.0)
    name, stop, signature = value.split(".")
    assert not sessions.holds(f"{name}.{int(stop) + 1}.{signature}", 1000.0, 0.0)
    assert not sessions.holds(f"{name}.{stop}.{'0' * 64}", 1000.0, 0.0)
    assert not Sessions(KeyRing(keys)).holds(value, 1000.0, 0.0)


def test_a_forged_cookie_is_of_no_use(guarded: Guarded) -> None:
    for value in ("", "x", "00000000.99999999999." + "0" * 64):
        assert httpx.get(guarded.address, cookies={COOKIE: value}).status_code == 401


def test_the_key_itself_does_as_for_the_api(guarded: Guarded) -> None:
    for headers in ({"authorization": f"Bearer {guarded.key}"}, {"x-api-key": guarded.key}):
        assert httpx.get(f"{guarded.address}/quality", headers=headers).status_code == 200
    assert httpx.get(f"{guarded.address}/quality", headers={"x-api-key": "driftline_1_2"}).status_code == 401


def test_another_site_cannot_ask_for_a_report(console: str) -> None:
    for headers in ({"origin": "https://elsewhere.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert httpx.post(f"{console}/reports", headers=headers).status_code == 403


def test_without_keys_a_name_that_was_led_here_is_not_answered(console: str, world: World) -> None:
    assert httpx.get(console, headers={"host": "elsewhere.example"}).status_code == 421
    for host in ("localhost:1", "127.0.0.1", "[::1]:8001", "192.0.2.7:80"):
        assert httpx.get(console, headers={"host": host}).status_code == 200, host
    with served(config_of(world.data, any_host=True)) as address:
        assert httpx.get(address, headers={"host": "elsewhere.example"}).status_code == 200


def test_nobody_is_led_elsewhere_after_logging_in(guarded: Guarded) -> None:
    for asked in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "javascript:1"):
        answer = httpx.post(f"{guarded.address}/login", data={"key": guarded.key, "next": asked})
        assert answer.headers["location"] == "/"


def test_every_answer_has_safe_headers(console: str) -> None:
    for path in ("/", "/nothing", "/static/console.css", "/login"):
        headers = httpx.get(console + path).headers
        assert "script-src 'self';" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
    assert httpx.get(console).headers["cache-control"] == "no-store"


def test_a_form_that_is_too_long_is_refused(console: str) -> None:
    assert httpx.post(f"{console}/login", data={"key": "x" * 10_000}).status_code == 413


def test_it_is_served_by_https_with_the_api_s_certificate(world: World, tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "tls")
    trust = ssl.create_default_context(cafile=str(pair.certificate))
    with served(config_of(world.data), Tls(*pair)) as address:
        assert httpx.get(f"{address}/quality", verify=trust).status_code == 200


def test_a_page_that_fails_says_so_and_keeps_its_headers(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.predict(1, 300)
    world.watch()
    with world.store.transaction():
        world.store.put_meta({"plan": "min_rows=many"})
    with served(config_of(world.data)) as address:
        answer = httpx.get(address)
    assert answer.status_code == 500
    assert "This page could not be made." in answer.text
    assert "script-src 'self';" in answer.headers["content-security-policy"]


def test_a_port_that_is_taken_is_named_with_the_option_that_chooses_another(console: str, world: World) -> None:
    async def serve() -> None:
        async with serving_console(config_of(world.data), "127.0.0.1", int(console.rpartition(":")[2])):
            pass

    # Beside a thread in which the browser's own loop runs.
    with ThreadPoolExecutor() as threads, pytest.raises(PortError, match="should be; --console-port chooses another"):
        threads.submit(lambda: asyncio.run(serve())).result()
