"""What happens to a search is on the page when it happens: by its events, with all timers of the page stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from autonl_core.spec.progress import Progress
from tests.browser import full_results
from tests.browser.seeded_views import Service, claimed
from tests.browser.watched_pages import Pages, expect, go
from tests.store import sample_rows as samples

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def frozen(pages: Pages, service: Service) -> Iterator[Page]:
    """A page whose clock stands still, so that nothing on it is read again after some time."""
    page = pages.open("/weights")
    expect(page.locator("#main td").first).to_be_visible()
    yield page
    page.context.close()


def freeze(page: Page, address: str) -> None:
    """Show a view, and stop the clock of the page once its first answers have come."""
    page.clock.install()
    go(page, address)
    expect(page.locator(".detail-head .badge")).to_be_visible()
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)


def test_every_change_of_state_is_shown_as_it_happens(frozen: Page, service: Service) -> None:
    lease = claimed(service.client, service.stores)
    stores, client = service.stores, service.client
    freeze(frozen, f"/searches/{lease.search_id}")
    state = frozen.locator(".detail-head .badge")
    expect(state).to_have_text("running")
    full_results.run(stores, lease)
    expect(frozen.locator(".numbers")).to_contain_text("88.4%")
    client.post(f"/searches/{lease.search_id}/pause").raise_for_status()
    expect(state).to_have_text("pausing")
    stores.claims.gave_back(lease)
    expect(state).to_have_text("paused")
    client.post(f"/searches/{lease.search_id}/resume").raise_for_status()
    expect(state).to_have_text("queued")
    lease = samples.claim(stores)
    expect(state).to_have_text("running")
    full_results.finish(stores, lease, service.folder, full_results.full_result(), {"safetensors": b"network"})
    expect(state).to_have_text("succeeded")
    expect(frozen.locator(".numbers")).to_contain_text("95.82%")
    expect(frozen.locator(".downloads")).to_contain_text("model.safetensors")
    expect(frozen.locator(f".search-row[href$='{lease.search_id}'] .badge")).to_have_text("succeeded")


def test_progress_which_is_no_event_is_read_now_and_then_while_a_search_runs(page: Page, service: Service) -> None:
    lease = claimed(service.client, service.stores)
    go(page, f"/searches/{lease.search_id}")
    for fraction in (0.25, 0.5):
        service.stores.updates.progress(lease, Progress("searching", fraction, 1, 4, 5, 20))
        expect(page.locator(".phases .hint")).to_contain_text(f"{100 * fraction:.0f}% · searching · epoch 1 of 4")
        expect(page.get_by_role("progressbar", name="Progress of the search")).to_have_attribute(
            "aria-valuenow", f"{100 * fraction:.0f}"
        )
    service.stores.claims.fail(lease, "DatasetError", "none")
    expect(page.locator(".detail-head .badge")).to_have_text("failed")


def test_a_service_that_is_away_is_said_and_the_page_goes_on_when_it_is_back(pages: Pages, service: Service) -> None:
    lease = claimed(service.client, service.stores)
    page = pages.open(f"/searches/{lease.search_id}")
    expect(page.locator(".detail-head .badge")).to_have_text("running")
    page.context.set_offline(True)
    expect(page.locator("#main .notice")).to_have_text(
        "The service does not respond. Is it running? This page keeps trying."
    )
    service.stores.claims.fail(lease, "DatasetError", "none")
    page.context.set_offline(False)
    expect(page.locator(".detail-head .badge")).to_have_text("failed")
    expect(page.locator("#main .notice")).to_have_count(0)
    page.context.close()


def test_a_view_that_is_left_listens_no_longer(page: Page, service: Service, pages: Pages) -> None:
    lease = claimed(service.client, service.stores)
    with page.expect_request(lambda request: "/events?" in request.url and "event-stream" in request.headers["accept"]):
        go(page, f"/searches/{lease.search_id}")
    with page.expect_event("requestfailed", lambda request: lease.search_id in request.url) as ended:
        go(page, "/")
    assert "/events?" in ended.value.url
    service.stores.claims.fail(lease, "DatasetError", "none")
