"""The description of the API as a page: found from the page, read, and tried out."""

from __future__ import annotations

from tests.browser.axe import violations
from tests.browser.watched_pages import Pages, expect

MOST_MS = 100_000  # Swagger UI draws slowly where a machine is busy


def test_a_request_is_tried_out_and_one_finds_back(pages: Pages) -> None:
    page = pages.open(path="/docs")
    page.locator(".opblock").first.wait_for(timeout=MOST_MS)
    assert page.title() == "API · AutoNL"
    block = page.locator("#operations-operation-get_health")
    block.locator(".opblock-summary-control").focus()
    page.keyboard.press("Enter")
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table .response .response-col_status")).to_contain_text("200")
    assert violations(page, "nav") == []
    assert violations(page, ".information-container") == []
    assert violations(page, "#operations-operation-get_health") == []
    page.get_by_role("link", name="Back to AutoNL").click()
    expect(page.locator("#main h1")).to_have_text("A classifier for your images, within your budget")
    page.context.close()
