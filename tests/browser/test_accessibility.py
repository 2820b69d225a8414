"""Every view, in light and dark, on a desktop and on a phone: axe finds nothing, and nothing is wider than the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import OF_LAYOUT, violations
from tests.browser.seeded_views import MARKS, Service
from tests.browser.watched_pages import DESKTOP, PHONE, Pages, Scheme, expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page

_WIDER = """() => [...document.querySelectorAll("body, body *")]
  .filter((one) => !one.closest(".scroll, pre, .visually-hidden, .skip-link"))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
  .map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 40)}`)"""


def open_all(page: Page) -> None:
    """Open what is folded, and the list that is fetched when it is asked for."""
    page.evaluate("document.querySelectorAll('#main details').forEach((one) => { one.open = true; })")
    if (button := page.get_by_role("button", name="Show the images")).count():
        button.click()
        expect(page.locator(".doubtful-list li")).to_have_count(24)


def check_all(page: Page, service: Service, rules: list[str] | None) -> None:
    page.locator(".sidebar details").evaluate("one => { one.open = true; }")
    expect(page.locator("#published label").first).to_be_visible()
    expect(page.locator("#searches .badge").first).to_be_visible()
    wrong = {"around": violations(page, rules=rules)}
    for name, address in service.views.addresses.items():
        go(page, address)
        expect(page.locator("#main").locator(MARKS.get(name, ".detail-head .badge")).first).to_be_visible()
        open_all(page)
        wrong[name] = [*violations(page, "#main", rules), *page.evaluate(_WIDER)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong[name].append("the page scrolls sideways")
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("width", "scheme", "rules"),
    [
        (DESKTOP, "light", None),
        (PHONE, "dark", OF_LAYOUT),
        pytest.param(DESKTOP, "dark", None, marks=pytest.mark.long),
        pytest.param(PHONE, "light", None, marks=pytest.mark.long),
        pytest.param(PHONE, "dark", None, marks=pytest.mark.long),
    ],
)
def test_no_view_has_a_fault_and_none_scrolls_sideways(
    pages: Pages, service: Service, width: int, scheme: Scheme, rules: list[str] | None
) -> None:
    page = pages.open(width=width, scheme=scheme)
    check_all(page, service, rules)
    page.context.close()
