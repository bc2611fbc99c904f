"""The pages of a log in which a feature has moved, in a browser that keeps to the policy they come with."""

import re
import time
from urllib.parse import quote

import httpx
from playwright.sync_api import expect

from tests.console.conftest import OpenPage
from tests.console.world import NAMES, World

HOSTILE = NAMES[5]


def test_the_first_page_says_what_has_drifted_and_leads_to_it(console: str, open_page: OpenPage) -> None:
    page = open_page(console)
    expect(page.get_by_role("heading", level=1)).to_contain_text("columns have drifted")
    card = page.locator(".card", has_text="income")
    expect(card).to_contain_text("Its values have moved up.")
    expect(card).to_contain_text("drift")
    expect(page.locator(".card", has_text="age")).to_contain_text("no drift")
    card.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("income")
    expect(page.get_by_role("heading", level=2, name="Its values have moved up.")).to_be_visible()


def test_the_ledger_is_counted_from_the_log(console: str, world: World, open_page: OpenPage) -> None:
    page = open_page(console)
    expect(page.locator("#ledger")).to_contain_text(f"{len(world.request_ids):,}")
    expect(page.locator("#ledger .right")).to_contain_text("0")


def test_traffic_is_shown_with_its_units(console: str, world: World, open_page: OpenPage) -> None:
    made_us, world.now_us = world.now_us, time.time_ns() // 1000  # it may have been made minutes ago
    world.traffic(30)
    world.now_us = made_us
    page = open_page(console)
    expect(page.locator("#now-traffic .figure")).to_have_text(re.compile(r"^\d{3}/s$"))
    expect(page.locator("#now-latency .figure")).to_have_text(re.compile(r"^1\.\d+ / \d\.?\d*ms$"))
    expect(page.locator("#chart-traffic canvas")).to_have_count(1)


def test_both_distributions_are_on_the_page_as_a_picture_and_as_a_table(console: str, open_page: OpenPage) -> None:
    page = open_page(f"{console}/columns?name=income")
    expect(page.locator("#chart-histogram canvas")).to_have_count(1)
    page.locator("#histogram-table summary").click()
    expect(page.locator("#histogram-rows tbody tr")).to_have_count(40)


def test_a_category_is_shown_value_by_value(console: str, open_page: OpenPage) -> None:
    page = open_page(f"{console}/columns?name=predicted_class")
    expect(page.locator("#bars tbody tr")).to_have_count(2)
    expect(page.locator("#outside-now")).to_contain_text("unseen")


def test_windows_taken_together_are_the_sum_of_their_rows(console: str, open_page: OpenPage) -> None:
    page = open_page(f"{console}/columns?name=income")
    expect(page.locator("#then-span")).to_contain_text("400 rows, against 2,000 rows")
    page.get_by_label("Windows together").select_option("6")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#then-span")).to_contain_text("2,400 rows")


def test_an_earlier_window_is_one_click_away_and_was_quiet(console: str, open_page: OpenPage) -> None:
    page = open_page(f"{console}/columns?name=income&window=6")
    expect(page.locator("#column-state")).to_contain_text("no drift")
    page.get_by_role("link", name="Latest").click()
    expect(page.locator("#column-state")).to_contain_text("drift")
    expect(page.locator("#column-state")).not_to_contain_text("no drift")


def test_a_prediction_is_found_by_its_id_with_each_value_s_place(
    console: str, world: World, open_page: OpenPage
) -> None:
    page = open_page(f"{console}/predictions")
    page.get_by_label("Request id").fill(world.request_ids[4321])
    page.get_by_role("button", name="Find").click()
    expect(page.locator("main")).to_contain_text("row 4,321")
    expect(page.locator("main")).to_contain_text("are lower")
    page.locator("#event-line summary").click()
    expect(page.locator("#event-line code")).to_contain_text(world.request_ids[4321])


def test_what_is_no_id_or_no_prediction_is_said_so(console: str) -> None:
    def said(request_id: str) -> str:
        return httpx.get(f"{console}/predictions", params={"id": request_id}).text

    assert "This is no request id" in said("<script>1</script>")
    assert "of another version" in said("6ba7b810-9dad-41d1-80b4-00c04fd430c8")
    assert "It is not in the log" in said("01936f2e-8c1a-7b3d-9f10-5a6b7c8d9e0f")


def test_a_feature_with_the_name_of_a_script_is_only_a_name(console: str, open_page: OpenPage) -> None:
    page = open_page(console)
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    assert "<script>alert" not in page.content()


def test_what_is_not_there_is_a_page_that_says_so(console: str) -> None:
    answer = httpx.get(f"{console}/columns", params={"name": HOSTILE + "x"})
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text
    for path in ("/nothing", "/alerts/00", "/reports/../x/page", "/reports/20260101-000000-abcdef/page"):
        assert httpx.get(console + path).status_code == 404, path


def test_odd_queries_are_answered_as_if_they_were_not_there(console: str) -> None:
    odd = f"window={'9' * 400}&together=x&stream={quote(HOSTILE)}&version=%00"
    for path in (f"/columns?name=age&{odd}", "/?hours=-1", "/columns?name=age&window=-5", "/columns?name=age&window=0"):
        assert httpx.get(console + path).status_code == 200, path
