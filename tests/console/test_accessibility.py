"""Every page in both themes, on a desk and on a phone, by axe-core; and by keyboard alone."""

from pathlib import Path
from urllib.parse import quote

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import OpenPage
from tests.console.world import NAMES, World

pytestmark = pytest.mark.long

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
WIDTHS = (1440, 390)
PATHS = (
    "/",
    "/columns?name=income",
    "/columns?name=predicted_class",
    f"/columns?name={quote(NAMES[5])}",
    "/predictions",
    "/predictions?id=nothing",
    "/quality",
    "/alerts",
    "/reports",
    "/login",
)


OF_COLOURS = ("color-contrast", "link-in-text-block")
"""Rules whose answer depends on the theme; that of all others is the same in both."""


def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds by these rules, or by all of them."""
    page.evaluate(AXE)
    only = {"runOnly": list(rules)} if rules else {}
    found = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **only})
    return [
        f"{it['id']}: {node['target']} {node['failureSummary']}" for it in found["violations"] for node in it["nodes"]
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing(console: str, world: World, open_page: OpenPage, width: int) -> None:
    page = open_page(console, color_scheme="light", viewport={"width": width, "height": 900})
    ground = "getComputedStyle(document.body).backgroundColor"
    found = {}
    for path in (*PATHS, f"/predictions?id={world.request_ids[77]}"):
        page.goto(console + path)
        for summary in page.locator("summary").all():
            summary.click()
        found[path] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
        light = page.evaluate(ground)
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(ground) != light
        found[f"{path} in the dark"] = violations(page, *OF_COLOURS)
        page.emulate_media(color_scheme="light")
    assert {path: these for path, these in found.items() if these} == {}


def test_the_first_tab_leads_past_the_navigation(console: str, open_page: OpenPage) -> None:
    page = open_page(console)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_arrow_keys_read_a_chart(console: str, open_page: OpenPage) -> None:
    page = open_page(f"{console}/columns?name=income")
    chart = page.locator("#chart-effect")
    chart.locator(".plot").focus()
    page.keyboard.press("End")
    expect(chart.locator(".legend")).to_contain_text("alarm")
    last = chart.locator(".legend").inner_text()
    page.keyboard.press("ArrowLeft")
    expect(chart.locator(".legend")).not_to_have_text(last)
    page.keyboard.press("Home")
    expect(chart.locator(".legend")).to_contain_text("rows changed none")
    page.keyboard.press("Escape")
    expect(chart.locator(".legend")).to_have_text("rows changed")


def test_a_point_of_a_chart_leads_to_its_window(console: str, open_page: OpenPage) -> None:
    page = open_page(f"{console}/columns?name=income&together=6")
    page.locator("#chart-evidence .plot").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Later")).to_be_visible()
    assert "together=6" in page.url
    page.locator("#chart-effect .u-over").click(position={"x": 500, "y": 40})
    expect(page.locator("#column-state")).to_contain_text("no drift")


def test_the_theme_is_chosen_by_a_button_and_kept(console: str, open_page: OpenPage) -> None:
    page = open_page(console, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.get_by_role("button", name="Theme: automatic")
    button.press("Enter")
    page.get_by_role("button", name="Theme: light").press("Enter")
    assert page.evaluate(ground) != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ground) != light
