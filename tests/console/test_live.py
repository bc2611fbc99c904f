"""Open pages are kept up to date, and their readers where they are."""

from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import expect

from tests.console.conftest import OpenPage, config_of, served
from tests.console.world import WIDTH_US, World, drifting, quiet

MakeWorld = Callable[..., World]


def later(world: World, windows: int, rows: int = 300, **wishes: object) -> None:
    """Some windows go by, and the monitor has read what came in them."""
    world.now_us += windows * WIDTH_US
    world.predict(windows, rows, **wishes)  # type: ignore[arg-type]
    world.watch()


def test_a_window_that_closes_appears_by_itself_and_moves_nothing(make_world: MakeWorld, open_page: OpenPage) -> None:
    world = make_world(reference_rows=1500)
    world.predict(10, 300)
    world.watch()
    with served(config_of(world.data)) as address:
        page = open_page(f"{address}/columns?name=income")
        expect(page.locator("#live")).to_have_text("Live")
        page.locator("#history-table summary").click()
        rows = page.locator("#history-rows tbody tr").count()
        page.get_by_label("Windows together").focus()
        page.evaluate("scrollTo(0, 300)")
        later(world, 2)
        expect(page.locator("#history-rows tbody tr")).to_have_count(rows + 2)
        expect(page.locator("#history-table")).to_have_attribute("open", "")
        expect(page.get_by_label("Windows together")).to_be_focused()
        assert page.evaluate("scrollY") == 300
        page.goto("about:blank")


def test_drift_is_seen_on_the_first_page_within_two_windows(make_world: MakeWorld, open_page: OpenPage) -> None:
    world = make_world(reference_rows=1500)
    world.predict(10, 300)
    world.watch()
    with served(config_of(world.data)) as address:
        page = open_page(address)
        expect(page.get_by_role("heading", level=1)).to_have_text("No drift in the last window.")
        page.get_by_role("link", name="age").focus()
        later(world, 2, values=lambda draw, window, windows: drifting(draw, 1, 1))
        expect(page.get_by_role("heading", level=1)).to_contain_text("drifted")
        expect(page.locator("#status")).to_have_class("status status-bad")
        expect(page.locator(".card-alarm", has_text="income")).to_be_visible()
        expect(page.get_by_role("link", name="age")).to_be_focused()
        page.goto("about:blank")


def test_a_page_that_waited_for_the_monitor_becomes_the_page_it_was_to_be(
    tmp_path: Path, make_world: MakeWorld, open_page: OpenPage
) -> None:
    config = config_of(tmp_path)
    with served(config) as address:
        assert httpx.get(address).status_code == 503
        page = open_page(f"{address}/quality", unready=True)
        expect(page.locator("h1")).to_have_text("The monitor has not begun yet.")
        world = make_world()
        world.predict(10, 300, quiet)
        world.watch()
        expect(page.locator("h1")).to_have_text("Quality")
        page.goto("about:blank")


def test_the_stream_is_of_events_and_ends_with_the_console(console: str, world: World) -> None:
    with served(config_of(world.data)) as address, httpx.stream("GET", f"{address}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert next(answer.iter_text()).startswith("retry:")
