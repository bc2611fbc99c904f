"""Makes the pictures in docs/images: ``python scripts/screenshots.py``. Wants Chromium, and Evidently for the report's.

What they show is a log made for it, followed by the real monitor; only the times differ from run to run.
"""

import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page  # noqa: E402 - the tests are not installed

from tests.browser import chromium  # noqa: E402
from tests.console.conftest import config_of, served  # noqa: E402
from tests.console.world import NAMES, US, World, drifting  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WINDOWS, ROWS = 60, 400
DESK, PHONE = {"width": 1200, "height": 1000}, {"width": 390, "height": 844}
REPORT_WITHIN_MS = 120_000


def main() -> None:
    """Writes all pictures, in place of those that are there."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), time.time_ns() // 1000, names=NAMES[:5])
        try:
            world.predict(WINDOWS, ROWS, values)
            world.tell(0.6, 4 * US)
            world.watch()
            world.traffic(60)
            with served(config_of(world.data)) as address, chromium() as browser:
                take(browser, address)
        finally:
            world.close()


def values(draw: random.Random, window: int, windows: int) -> Mapping[str, float]:
    """Rows of which income moves; five features are enough for a picture."""
    row = drifting(draw, window, windows)
    return {name: row[name] for name in NAMES[:5]}


def take(browser: Browser, address: str) -> None:
    """Takes them, each of the state that it is to show."""
    page = browser.new_page(viewport=DESK, color_scheme="light")  # type: ignore[arg-type]  # of two numbers
    shoot(page, address, "overview")
    shoot(page, f"{address}/quality", "quality")
    dark = browser.new_page(viewport=DESK, color_scheme="dark")  # type: ignore[arg-type]
    shoot(dark, f"{address}/columns/income", "column")
    phone = browser.new_page(viewport=PHONE, color_scheme="light")  # type: ignore[arg-type]
    shoot(phone, address, "phone")
    page.goto(f"{address}/reports")
    page.get_by_role("button", name="Make the report").click()
    link = page.locator("#made a").first
    link.wait_for(timeout=REPORT_WITHIN_MS)
    shoot(page, address + (link.get_attribute("href") or ""), "report", settle_s=5)


def shoot(page: Page, address: str, name: str, settle_s: float = 1.5) -> None:
    """Writes what a reader sees first of a page."""
    page.goto(address)
    page.wait_for_timeout(settle_s * 1000)  # the ledger is being counted, charts are drawn
    if name in {"overview", "phone"}:
        page.reload()
        page.wait_for_timeout(settle_s * 1000)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
