import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from driftline.api.tls import Tls
from driftline.console.config import ConsoleConfig
from driftline.console.server import serving_console
from tests.browser import chromium
from tests.console.world import World, drifting

OpenPage = Callable[..., Page]


def config_of(data: Path, **changes: Any) -> ConsoleConfig:
    config = ConsoleConfig(
        "churn",
        data / "monitor" / "monitor.sqlite",
        data,
        data / "logs",
        data / "outbox",
        data / "monitor" / "reports",
    )
    return replace(config, **changes)


@contextmanager
def served(config: ConsoleConfig, tls: Tls | None = None) -> Iterator[str]:
    """The address of a console that runs in a loop of its own, as it does in the monitor's process."""
    ports: list[int] = []
    up, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving_console(config, "127.0.0.1", 0, tls) as port:
            ports.append(port)
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(60)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive()
        loop.close()


@pytest.fixture(scope="module")  # while it is open, asyncio.run() is refused in this thread
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Forty windows, in the last third of which income has moved; only read."""
    world = World(tmp_path_factory.mktemp("data"), time.time_ns() // 1000)
    world.predict(40, 400, drifting)
    world.watch()
    world.traffic(30)
    yield world
    world.close()


@pytest.fixture(scope="session")
def console(world: World) -> Iterator[str]:
    with served(config_of(world.data)) as address:
        yield address


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Worlds of a test's own."""
    with ExitStack() as stack:

        def make(**wishes: Any) -> World:
            world = World(tmp_path, time.time_ns() // 1000, **wishes)
            stack.callback(world.close)
            return world

        yield make


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages of which nothing may go wrong: no script fails, no policy is broken, nobody else is asked."""
    wrong: list[str] = []
    asked: list[str] = []
    with ExitStack() as stack:

        def open_at(address: str, *, unready: bool = False, **wishes: Any) -> Page:
            def said(text: str) -> None:
                if not (unready and "503" in text):
                    wrong.append(text)

            context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **wishes})
            stack.callback(context.close)
            page = context.new_page()
            page.on("console", lambda message: said(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(address)
            return page

        yield open_at
    assert wrong == []
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in asked)
