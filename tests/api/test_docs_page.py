"""The page with the documentation, in a browser that keeps to the policy it comes with."""

import pytest
from playwright.sync_api import expect

from tests.api.conftest import StartApi
from tests.browser import chromium


@pytest.mark.long
def test_the_page_works_under_its_policy_and_asks_nobody_else(start_api: StartApi) -> None:
    api = start_api()
    with chromium() as browser:
        page = browser.new_page()
        wrong: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))  # where a browser says what a policy forbade
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"http://127.0.0.1:{api.port}/docs")
        page.locator("#operations-predictions-predict .opblock-summary-control").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.locator(".live-responses-table td.response-col_description").last).to_contain_text(
            "predicted_class"
        )
    assert wrong == []
    assert all(url.startswith((f"http://127.0.0.1:{api.port}/", "data:")) for url in asked)
    assert len(api.events()) == 1
