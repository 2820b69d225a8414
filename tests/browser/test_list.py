"""The list of searches beside every view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.seeded_views import Service, claimed
from tests.browser.watched_pages import expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page

AT_ONCE = 20  # searches


def test_it_shows_state_result_and_place_and_marks_the_one_that_is_shown(page: Page, service: Service) -> None:
    searches = service.views.searches

    def row(name: str) -> str:
        return f".search-row[href$='{searches[name]}']"

    words = {"queued": "number 1 in the queue", "running": "training · 62%", "failed": "no result"}
    for state, said in (words | {"succeeded": "95.82% top-1"}).items():
        page.get_by_label("Filter searches by state").select_option(state)  # others start searches too
        expect(page.locator(row(state))).to_contain_text(said)
    page.locator(row("succeeded")).click()
    expect(page.locator("#main h1")).to_have_text("digits within 400k MACs")
    expect(page.locator(row("succeeded"))).to_have_attribute("aria-current", "page")
    go(page, "/")
    expect(page.locator("[aria-current=page]")).to_have_count(0)


def test_it_is_filtered_by_state(page: Page, service: Service) -> None:
    page.get_by_label("Filter searches by state").select_option("failed")
    expect(page.locator(".search-row .badge.failed").first).to_be_visible()
    expect(page.locator(".search-row .badge:not(.failed)")).to_have_count(0)
    page.get_by_label("Filter searches by state").select_option("all")
    expect(page.locator(".search-row .badge.succeeded").first).to_be_visible()


def test_older_searches_are_shown_when_they_are_asked_for(page: Page, service: Service) -> None:
    added = [claimed(service.client, service.stores) for _ in range(AT_ONCE + 1 - len(service.views.searches))]
    for lease in added:
        service.stores.claims.fail(lease, "DatasetError", "none")
    rows = page.locator(".search-row")
    expect(rows).to_have_count(AT_ONCE)
    page.get_by_role("button", name="Show older").click()
    expect(rows.nth(AT_ONCE)).to_be_visible()
    page.get_by_label("Filter searches by state").select_option("queued")
    page.get_by_label("Filter searches by state").select_option("all")
    expect(rows).to_have_count(AT_ONCE)
    for lease in added:
        service.client.delete(f"/searches/{lease.search_id}").raise_for_status()
