"""Pages of the Dagster UI as a person opens them: where they are and what to wait for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Locator, Page, sync_playwright

from focus_assets_tests.ui.running import CHROMIUM

PATIENCE = 90_000
VIEWPORT = {"width": 1440, "height": 900}


@contextmanager
def browser_page(**options: Any) -> Iterator[Page]:
    """A page of a headless Chromium that talks to nobody but the UI."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(**{"viewport": VIEWPORT, **options})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def open_graph(page: Page, url: str) -> None:
    """The global lineage with every group unfolded."""
    page.goto(f"{url}/asset-groups", wait_until="domcontentloaded")
    page.get_by_text("deliveries").first.wait_for()
    until(page, lambda: "fetching statuses" not in page.inner_text("body"), "the states of the assets")
    page.keyboard.press("Alt+e")
    page.wait_for_url(re.compile("expanded="))
    page.get_by_text("normalized_usage").first.wait_for()


def until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Wait for a page to say something. Not by ``wait_for_function``: the UI's content policy forbids what it does."""
    for _ in range(PATIENCE // 250):
        if holds():
            return
        page.wait_for_timeout(250)
    raise AssertionError(f"waited in vain for {what}")


def open_asset(page: Page, url: str, asset: str, view: str = "overview", **query: str) -> None:
    """A tab of an asset's page."""
    more = "".join(f"&{key}={value}" for key, value in query.items())
    page.goto(f"{url}/assets/{asset}?view={view}{more}", wait_until="domcontentloaded")


def metadata_row(page: Page, label: str) -> Locator:
    """The row of a metadata table with that label."""
    return page.locator("tr", has=page.get_by_text(label, exact=True)).first


def show_markdown(page: Page, label: str) -> Locator:
    """Open the Markdown of a metadata entry; returns the dialog."""
    metadata_row(page, label).get_by_text("[Show Markdown]").click()
    dialog = page.get_by_role("dialog").or_(page.locator(".dialog-container, .bp5-dialog, .bp4-dialog")).last
    page.get_by_role("button", name="Close").last.wait_for()
    return dialog


def image_size(page: Page, alternative: str) -> tuple[int, int]:
    """The natural size of a loaded image; (0, 0) would be one that is not shown."""
    image = page.get_by_alt_text(alternative)
    image.wait_for()
    width, height = image.evaluate(
        "async (i) => { await i.decode(); return [i.naturalWidth, i.naturalHeight] }"
    )
    return int(width), int(height)


def launch_backfill(page: Page, url: str, job: str, first: str, last: str) -> dict[str, Any]:
    """Fill in and send the dialog of a job's page; returns the parameters the page sent and the backfill's id."""
    page.goto(f"{url}/locations/focus_assets/jobs/{job}", wait_until="domcontentloaded")
    page.get_by_role("button", name="Materialize all").first.click()
    page.get_by_text("Partition selection").wait_for()
    everything = page.get_by_role("button", name="Show all partitions")
    days = page.locator("input[type=text]").last
    days.wait_for()
    page.wait_for_timeout(1500)
    if everything.count():
        everything.click()
    days.fill(f"[{first}...{last}]")
    days.press("Enter")
    page.get_by_text("5 partitions").wait_for()
    with page.expect_response(
        lambda response: "launchPartitionBackfill" in (response.request.post_data or "")
    ) as answered:
        page.get_by_role("button", name="Launch backfill").click()
    sent = json.loads(answered.value.request.post_data or "{}")
    answer = answered.value.json()["data"]["launchPartitionBackfill"]
    return {"id": answer["backfillId"], **sent["variables"]["backfillParams"]}
