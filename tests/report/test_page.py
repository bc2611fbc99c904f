"""The page, as a browser shows it, with no network to fetch anything from."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from driftline.errors import ReportError
from driftline.report.page import render_page
from driftline.report.reading import read_windows
from driftline.report.report import make_report
from driftline.report.result import DriftReport
from driftline.report.selection import Selection
from tests.browser import chromium
from tests.report.events import MakeLog, event, traffic

HOSTILE = "</script><script>window.hacked = true</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


class Shown:
    """A report in the browser, and what went wrong in there.

    Attributes:
        errors: Uncaught errors of the page's scripts.
        requests: What the page asked for, beside itself.
    """

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        page.goto(path.as_uri())

    def _asked(self, request: Request) -> None:
        if not request.url.startswith("file:"):
            self.requests.append(request.url)


def show(browser: Browser, report: DriftReport, directory: Path, width: int = 1280) -> Shown:
    path = directory / "report.html"
    path.write_text(render_page(report), encoding="utf-8")
    context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
    return Shown(context.new_page(), path)


@pytest.mark.parametrize("fixture", ["steady", "shifted"])
def test_the_page_shows_the_verdict_and_each_column_without_a_network(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest, fixture: str
) -> None:
    report: DriftReport = request.getfixturevalue(fixture)
    shown = show(browser, report, tmp_path)
    page = shown.page
    heading = page.get_by_role("banner")
    expect(heading.get_by_role("heading", name="Drift report")).to_be_visible()
    expect(heading.get_by_text(report.verdict)).to_be_visible()
    expect(heading.get_by_text(re.compile("the first 200 predictions of the log; rows 1 to 200;"))).to_be_visible()
    expect(heading.get_by_text(re.compile("2026-11-23 21:13:20 .* UTC; scored by seed 1"))).to_be_visible()
    # Evidently's own part, drawn by its scripts
    expect(page.get_by_text(f"Dataset Drift is {'' if report.drift else 'NOT '}detected.")).to_be_visible()
    for score in report.comparison.scores:
        expect(page.get_by_role("cell", name=score.name, exact=True)).to_be_visible()
    page.get_by_role("tab", name="Tests").click()
    expect(page.get_by_text("Share of Drifted Columns: Less").first).to_be_visible()
    assert page.title() == f"{'Drift' if report.drift else 'No drift'} - Driftline report"
    assert (shown.errors, shown.requests) == ([], [])


def test_a_column_opens_to_its_distribution(browser: Browser, tmp_path: Path, shifted: DriftReport) -> None:
    shown = show(browser, shifted, tmp_path)
    row = shown.page.get_by_role("row").filter(has=shown.page.get_by_role("cell", name="feature_1", exact=True))
    row.get_by_role("button").first.click()
    expect(shown.page.get_by_text("DATA DISTRIBUTION")).to_be_visible()
    expect(shown.page.locator(".main-svg").first).to_be_visible()
    assert (shown.errors, shown.requests) == ([], [])


def test_the_heading_fits_a_narrow_screen(browser: Browser, tmp_path: Path, shifted: DriftReport) -> None:
    page = show(browser, shifted, tmp_path, width=360).page
    heading = page.get_by_role("banner").bounding_box()
    assert heading
    assert heading["width"] <= 360
    assert page.eval_on_selector("header.driftline", "header => header.scrollWidth <= header.clientWidth")


def test_columns_left_out_and_notes_are_shown_and_no_name_or_class_runs_as_a_script(
    browser: Browser, tmp_path: Path, make_log: MakeLog
) -> None:
    lines = [
        event(number, {HOSTILE: number % 17 / 7, "gone": None}, predicted_class=HOSTILE if number % 2 else "other")
        for number in range(100)
    ]
    report = make_report(read_windows(make_log(lines), Selection()))
    shown = show(browser, report, tmp_path)
    heading = shown.page.get_by_role("banner")
    expect(heading.get_by_text("gone: it has no value in the reference")).to_be_visible()
    expect(heading.get_by_text("the windows share what there is, 50 and 50")).to_be_visible()
    expect(shown.page.get_by_role("cell", name="predicted_class", exact=True)).to_be_visible()
    assert shown.page.evaluate("window.hacked") is None
    assert (shown.errors, shown.requests) == ([], [])
    assert [score.name for score in report.comparison.scores] == [HOSTILE, "probability", "predicted_class"]


def test_a_page_of_evidently_without_a_place_for_the_heading_is_an_error(shifted: DriftReport) -> None:
    strange = replace(shifted, comparison=replace(shifted.comparison, html="<html></html>"))
    with pytest.raises(ReportError, match="no place for a heading"):
        render_page(strange)


def test_reports_of_the_same_log_agree(make_log: MakeLog, steady: DriftReport) -> None:
    again = make_report(read_windows(make_log(traffic(1000)), Selection()))
    assert again.comparison.scores == steady.comparison.scores
