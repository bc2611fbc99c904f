"""Alerts as people come to them: from the first page, or by the address that they were sent."""

import httpx
from playwright.sync_api import expect

from driftline.monitor.history import AlertHistory
from driftline.monitor.silences import Silence, Silences
from tests.console.conftest import OpenPage, config_of, served
from tests.console.test_accessibility import violations
from tests.console.test_live import MakeWorld
from tests.console.world import US, World, drifting


def test_the_cause_is_told_first_and_what_came_with_it_below(console: str, open_page: OpenPage) -> None:
    page = open_page(console)
    expect(page.locator(".alerts > li")).to_have_count(1)
    expect(page.locator(".alerts > li")).to_contain_text("income has moved up")
    expect(page.locator(".alerts > li")).to_contain_text("of rows changed")
    expect(page.locator(".followers")).to_contain_text("probability has moved up")


def test_an_alert_leads_to_its_column_and_to_predictions_that_show_it(console: str, open_page: OpenPage) -> None:
    page = open_page(console)
    page.get_by_role("link", name="income has moved up").first.click()
    expect(page.get_by_role("heading", level=2, name="Then and now")).to_be_visible()
    expect(page.locator("#told")).to_contain_text("webhook, firing: waiting")
    page.locator("a[href^='/predictions?id=']").first.click()
    expect(page.get_by_role("heading", level=2, name="The prediction")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Page of income").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("income")


def test_an_address_in_an_alert_leads_to_the_page_of_its_column(console: str) -> None:
    for path in ("/columns/income", "/columns/%3Cscript%3Ealert('x')%3C%2Fscript%3E"):
        assert httpx.get(console + path).status_code == 200, path


def test_the_number_of_open_alerts_is_in_the_navigation(console: str, world: World) -> None:
    firing = len(AlertHistory(world.store.connection).firing())
    assert f'<span class="hidden">, open: </span>{firing}</span>' in httpx.get(f"{console}/quality").text


def test_all_alerts_deliveries_and_silences_are_listed(make_world: MakeWorld, open_page: OpenPage) -> None:
    world = make_world(reference_rows=1500)
    world.predict(12, 300, drifting)
    world.watch()
    Silences(world.store.connection).add(Silence("all/age/*", world.now_us, world.now_us + 3600 * US, "known"))
    with served(config_of(world.data)) as address:
        page = open_page(f"{address}/alerts")
        expect(page.locator("#open")).to_contain_text("income has moved up")
        expect(page.locator("#told")).to_contain_text("webhook")
        expect(page.locator("#silences")).to_contain_text("all/age/*")
        expect(page.locator("#silences")).to_contain_text("known")
        assert violations(page) == []
        page.locator("#open a").first.click()
        assert violations(page) == []
        page.goto("about:blank")
