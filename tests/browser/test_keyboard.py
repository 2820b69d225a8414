"""Without a pointer: everything that can be used is reached by Tab, shows that it has the focus, and works by keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.seeded_views import MARKS, Service, claimed
from tests.browser.watched_pages import expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

_PLANS = "**/searches?validate_only=true"
# Names what can be used; notes what gets the focus, and whether that is seen.
_WATCH = """() => {
  const usable = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const wordsOf = (one) => one.id || (one.ariaLabel ?? one.textContent.trim());
  const nameOf = (one) => `${one.tagName} ${one.getAttribute("href") ?? wordsOf(one)}`;
  const shown = [...document.querySelectorAll(usable)].filter((one) => one.checkVisibility() && !one.disabled);
  globalThis.unreached = new Set(shown.map(nameOf));
  globalThis.unseen = new Set();
  addEventListener("focusin", ({ target }) => {
    unreached.delete(nameOf(target));
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) unseen.add(nameOf(target));
  }, true);
  document.activeElement.blur();
  return shown.length;
}"""


@pytest.mark.parametrize("name", ["welcome", "succeeded", "datasets", "dataset ambiguous", "model"])
def test_everything_is_reached_by_tab_and_the_focus_is_seen(page: Page, service: Service, name: str) -> None:
    go(page, service.views.addresses[name])
    expect(page.locator("#main").locator(MARKS.get(name, ".detail-head .badge")).first).to_be_visible()
    page.locator(".sidebar details").evaluate("(one, open) => { one.open = open; }", name == "welcome")
    count = page.evaluate(_WATCH)
    assert count > 20
    for _ in range(count + 5):
        page.keyboard.press("Tab")
        if page.evaluate("unreached.size === 0"):
            break
    assert page.evaluate("[...unreached]") == []
    assert page.evaluate("[...unseen]") == []


def test_the_first_tab_offers_to_skip_to_the_content(page: Page) -> None:
    page.evaluate("document.activeElement.blur(); document.querySelector('.brand').focus()")
    page.keyboard.press("Shift+Tab")
    link = page.get_by_role("link", name="Skip to content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_search_is_started_and_cancelled_by_keys(page: Page) -> None:
    page.locator("#dataset").focus()
    page.keyboard.type("digits")
    budget = page.locator("#budget")
    while not budget.evaluate("one => one === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("400k")
    expect(page.locator("#budget-hint")).to_contain_text("400k: networks of tiny at 8 pixels")
    page.keyboard.press("Enter")
    expect(page.locator(".detail-head .badge")).to_have_text("queued")
    expect(page.locator("#main")).to_be_focused()
    cancel = page.get_by_role("button", name="Cancel")
    for _ in range(9):
        page.keyboard.press("Tab")
        if cancel.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".detail-head .badge")).to_have_text("cancelled")


def test_a_suggestion_that_comes_while_the_old_one_is_selected_is_selected_too(page: Page) -> None:
    """By Tab, a field is selected; a key that comes after the suggestion would otherwise be added to it."""
    budget, held = page.locator("#budget"), list["Route"]()
    budget.fill("")  # what an earlier test typed is not replaced
    page.locator("#dataset").focus()
    expect(budget).not_to_have_value("")
    old = budget.input_value()
    page.route(_PLANS, lambda route: held.append(route))  # noqa: PLW0108 - playwright asks functions for their names
    page.locator("#dataset").select_option("digits" if "trees" in page.locator("#dataset").input_value() else "trees")
    budget.focus()
    page.keyboard.press("Control+A")
    while not held:
        page.wait_for_timeout(20)
    for route in held:
        route.continue_()
    page.unroute(_PLANS)
    expect(budget).not_to_have_value(old)
    page.keyboard.type("400k")
    expect(budget).to_have_value("400k")


def test_the_focus_stays_where_it_is_while_lists_change(page: Page, service: Service) -> None:
    row = page.locator(f".search-row[href$='{service.views.searches['paused']}']")
    row.focus()
    lease = claimed(service.client, service.stores)
    expect(page.locator(f".search-row[href$='{lease.search_id}']")).to_be_visible()
    expect(row).to_be_focused()
    service.stores.claims.fail(lease, "DatasetError", "none")
    service.client.delete(f"/searches/{lease.search_id}").raise_for_status()
