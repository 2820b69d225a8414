"""What the page loads: little, all of it from the service, and nothing that it does not use."""

from __future__ import annotations

from tests.browser.watched_pages import Pages, expect

MOST_BYTES = 400_000


def test_the_first_load_is_light(pages: Pages) -> None:
    page = pages.open("/weights")
    expect(page.locator("#main td").first).to_be_visible()
    expect(page.locator("#budget")).not_to_have_value("")
    sizes = page.evaluate("performance.getEntries().map(({ transferSize }) => transferSize).filter(Boolean)")
    assert len(sizes) > 30
    assert sum(sizes) < MOST_BYTES
    page.context.close()
