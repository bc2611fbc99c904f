"""How good predictions were, as the outcomes say that were told."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.console.conftest import OpenPage, config_of, served
from tests.console.test_accessibility import violations
from tests.console.test_live import MakeWorld
from tests.console.world import US, World


@pytest.fixture
def judged(make_world: MakeWorld) -> Iterator[tuple[str, World]]:
    """Predictions whose probabilities are true; of half of them the outcome was told after 3 s."""
    world = make_world(reference_rows=1500, names=("age", "income"))
    world.predict(20, 300)
    world.tell(0.5, 3 * US)
    world.watch()
    with served(config_of(world.data)) as address:
        yield address, world


def test_measured_and_estimated_stand_side_by_side(judged: tuple[str, World], open_page: OpenPage) -> None:
    address, _ = judged
    page = open_page(f"{address}/quality")
    expect(page.locator("#scope")).to_contain_text(re.compile(r"; [23],\d{3} of \d,\d{3} predictions have"))
    row = page.locator("#measures tr", has_text="Accuracy")
    measured, estimated = (float(row.locator("strong").nth(at).inner_text().removesuffix(" %")) for at in (0, 1))
    assert 50 < measured < 80
    assert abs(measured - estimated) < 5
    expect(page.locator("#calibration-said")).to_contain_text("As far as these rows can tell, yes")
    expect(page.locator("#chart-measure canvas")).to_have_count(1)
    page.locator("#reliability-table summary").click()
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function("document.documentElement.scrollWidth === 390")  # charts follow in a moment
    assert violations(page) == []
    page.goto("about:blank")


def test_outcomes_are_known_when_they_were_told(judged: tuple[str, World], open_page: OpenPage) -> None:
    address, _ = judged
    page = open_page(f"{address}/quality")
    first, second = (page.locator("#delays tbody tr").nth(at) for at in (0, 1))
    expect(first).to_contain_text("1 s")
    expect(first.locator("td").first).to_have_text("0 %")
    expect(second).to_contain_text("10 s")
    share = float(second.locator("td").first.inner_text().removesuffix(" %"))
    assert 45 < share < 55
    page.goto("about:blank")


def test_windows_that_are_too_young_for_a_maturity_are_not_shown(judged: tuple[str, World]) -> None:
    address, _ = judged
    week_us = 7 * 86_400 * US
    assert "No window is so old yet." in httpx.get(f"{address}/quality?maturity={week_us}").text
    assert httpx.get(f"{address}/quality?maturity=17&together=x&segment=nothing").status_code == 200


def test_a_prediction_is_shown_with_what_became_of_it(judged: tuple[str, World]) -> None:
    address, world = judged
    pages = [httpx.get(f"{address}/predictions", params={"id": each}).text for each in world.request_ids[:20]]
    assert any("as predicted" in page for page in pages)
    assert any("No outcome has come for it." in page for page in pages)


def test_without_outcomes_the_page_says_how_to_send_them(console: str) -> None:
    page = httpx.get(f"{console}/quality").text
    assert "No outcome has come yet." in page
    assert "/feedback" in page
