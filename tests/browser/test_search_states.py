"""A search in every state: what the page says of it, and what can be done with it, by pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser import full_results
from tests.browser.seeded_views import Service, claimed
from tests.browser.watched_pages import expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page

ACTIONS = ("Pause", "Resume", "Cancel", "Delete", "Report", "Download bundle")


@pytest.mark.parametrize(
    ("name", "state", "where", "actions"),
    [
        ("queued", "queued", "Waiting for a worker. Number 1 in the queue", ["Pause", "Cancel"]),
        ("starting", "running", "Starting.", ["Pause", "Cancel"]),
        ("running", "running", "62% · training · epoch 4 of 20 · step 130 of 700 · about", ["Pause", "Cancel"]),
        ("pausing", "pausing", "62% · training · epoch 4 of 20", ["Resume", "Cancel"]),
        ("paused", "paused", "Paused at 62%. Resume to continue.", ["Resume", "Cancel"]),
        ("cancelling", "cancelling", "62% · training · epoch 4 of 20", []),
        ("cancelled", "cancelled", "Cancelled", ["Resume", "Delete"]),
        ("failed", "failed", "Failed", ["Resume", "Delete"]),
        ("succeeded", "succeeded", "Finished", ["Delete", "Report", "Download bundle"]),
    ],
)
def test_it_says_where_it_is_and_offers_what_can_be_done(
    page: Page, service: Service, name: str, state: str, where: str, actions: list[str]
) -> None:
    go(page, service.views.addresses[name])
    expect(page.locator(".detail-head .badge")).to_have_text(state)
    expect(page.locator(".phases .hint")).to_contain_text(where)
    offered = page.locator(".detail-head .actions")
    found = [action for action in ACTIONS if offered.get_by_text(action, exact=True).count()]
    assert found == actions
    assert page.title() == f"Search {service.views.searches[name]} · AutoNL"


def test_a_failed_search_says_why_in_the_words_of_the_error(page: Page, service: Service) -> None:
    go(page, service.views.addresses["failed"])
    expect(page.get_by_role("alert").filter(has_text="2 of 3 classes have too few images")).to_be_visible()


def test_an_attempt_that_crashed_is_listed_with_its_reason(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    rows = page.locator(".attempts tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("crashed")
    expect(rows.first).to_contain_text("the search process was killed by signal 9")


def test_a_running_search_shows_its_best_network_and_its_curves(page: Page, service: Service) -> None:
    go(page, service.views.addresses["running"])
    expect(page.locator(".architecture h2")).to_have_text("Best architecture so far")
    expect(page.locator(".architecture .block").first).to_be_visible()
    expect(page.locator(".numbers")).to_contain_text("with supernet weights, 190 of 215 images")
    chart = page.get_by_role("img", name="loss: 9 points, from 2 to 0.3333")
    chart.hover(position={"x": 2, "y": 40})
    expect(page.locator("figure").filter(has=chart).locator(".readout")).to_contain_text("searching epoch 1: 2")


def test_a_search_is_paused_resumed_cancelled_and_deleted(page: Page, service: Service) -> None:
    stores = service.stores
    lease = claimed(service.client, stores)
    full_results.run(stores, lease)
    go(page, f"/searches/{lease.search_id}")
    state = page.locator(".detail-head .badge")
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("pausing")
    stores.claims.gave_back(lease)
    expect(state).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("queued")
    expect(page.locator(".phases .hint")).to_contain_text("Waiting for a worker to continue.")
    page.get_by_role("button", name="Cancel").click()
    expect(state).to_have_text("cancelled")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#main h1")).to_have_text("A classifier for your images, within your budget")
    go(page, f"/searches/{lease.search_id}")
    expect(page.locator("#main h1")).to_have_text(f"There is no search {lease.search_id}")


def test_what_another_client_did_first_is_shown_instead(page: Page, service: Service) -> None:
    lease = claimed(service.client, service.stores)
    go(page, f"/searches/{lease.search_id}")
    pause = page.get_by_role("button", name="Pause")
    expect(pause).to_be_visible()
    page.route(
        "**/pause", lambda route: (service.client.post(f"/searches/{lease.search_id}/cancel"), route.continue_())
    )
    pause.click()
    expect(page.locator(".detail-head .badge")).to_have_text("cancelling")
    expect(pause).to_have_count(0)
    page.unroute("**/pause")
    service.stores.claims.cancelled(lease)
    expect(page.locator(".detail-head .badge")).to_have_text("cancelled")
