"""Evidently's reports, made by the real command in a process of its own."""

from pathlib import Path

import httpx
import msgspec
import pytest
from playwright.sync_api import expect

from driftline.console.reports import MOST_KEPT, Asked, Made, Reports
from tests.console.conftest import OpenPage, config_of, served
from tests.console.test_live import MakeWorld
from tests.waiting import wait_until

pytestmark = pytest.mark.long


@pytest.mark.timeout(240)
def test_a_report_is_made_in_the_background_and_opens_apart(make_world: MakeWorld, open_page: OpenPage) -> None:
    world = make_world(reference_rows=600, names=("age", "income"))
    world.predict(6, 300)
    world.watch()
    with served(config_of(world.data)) as address:
        page = open_page(f"{address}/reports")
        page.get_by_role("button", name="Make the report").click()
        expect(page.get_by_role("heading", name="Being made")).to_be_visible()
        assert httpx.post(f"{address}/reports").headers["location"] == "/reports?problem=busy"
        link = page.locator("#made a")
        expect(link).to_be_visible(timeout=120_000)
        answer = httpx.get(address + (link.get_attribute("href") or ""))
        page.goto("about:blank")
    assert "Drift report" in answer.text
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")


@pytest.mark.timeout(120)
def test_a_report_that_cannot_be_made_says_why(make_world: MakeWorld) -> None:
    world = make_world()
    world.predict(1, 20)
    world.watch()
    with served(config_of(world.data)) as address:
        httpx.post(f"{address}/reports", data={"rows": "500"})
        page = wait_until(lambda: "failed" in (text := httpx.get(f"{address}/reports").text) and text, 60)
    assert "20" in str(page)


def test_a_time_that_is_none_is_refused(console: str) -> None:
    answer = httpx.post(f"{console}/reports", data={"current_from_us": "yesterday"})
    assert answer.headers["location"] == "/reports?problem=time"
    assert "A time could not be read." in httpx.get(console + answer.headers["location"]).text


def test_what_is_asked_for_becomes_the_command_s_options() -> None:
    asked = Asked(current_from_us=1_800_000_000_000_000, reference_to_us=1_700_000_000_000_000, rows=500)
    assert asked.arguments() == [
        *("--current-from", "2027-01-15T08:00:00Z", "--reference-to", "2023-11-14T22:13:20Z"),
        *("--current-rows", "500", "--reference-rows", "500"),
    ]


def test_only_an_id_of_ours_names_a_file(tmp_path: Path) -> None:
    reports = Reports(tmp_path / "reports", tmp_path)
    (tmp_path / "reports").mkdir()
    (tmp_path / "secret.html").write_text("secret")
    (tmp_path / "reports" / "20260101-000000-abcdef.html").write_text("ours")
    assert reports.page("20260101-000000-abcdef") is not None
    for name in ("../secret", "20260101-000000-abcde0", "", "x"):
        assert reports.page(name) is None, name


def test_an_ended_report_outlives_the_console(tmp_path: Path) -> None:

    reports = Reports(tmp_path, tmp_path)
    for number in range(MOST_KEPT + 3):
        made = Made(f"20260101-0000{number:02d}-abcdef", Asked(), "made", number)
        (tmp_path / f"{made.report_id}.made").write_bytes(msgspec.json.encode(made))
    reports._forget_the_oldest()
    kept = Reports(tmp_path, tmp_path).all()
    assert [made.began_us for made in kept] == list(range(MOST_KEPT + 2, 2, -1))
