"""A service that needs a key: the page asks for it once, says what is wrong with one, and forgets it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from store.keys import ALL_SCOPES
from tests.api.http_service import serving
from tests.browser.axe import violations
from tests.browser.seeded_views import Service
from tests.browser.watched_pages import PHONE, Pages, expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def locked(browser: Browser, service: Service) -> Iterator[Pages]:
    """Pages of a service with the same rows that lets no one in without a key."""
    settings = service.stores.settings.model_copy(update={"require_keys": True})
    with serving(settings) as client:
        pages = Pages(browser, str(client.base_url).rstrip("/"))
        yield pages
        pages.check()


def test_one_signs_in_by_keys_and_out_again(locked: Pages, service: Service) -> None:
    token = service.stores.keys.create("default", "of the page", ALL_SCOPES)[1]
    page = locked.open("/datasets", width=PHONE, scheme="dark")
    field = page.get_by_label("Key")
    expect(field).to_be_focused()
    expect(page.locator("#layout")).to_be_hidden()
    page.keyboard.type("autonl_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("the key is unknown, expired or revoked")
    assert violations(page) == []
    field.fill(token)
    page.keyboard.press("Enter")
    expect(page.locator("#main h1")).to_have_text("Datasets")
    expect(page.get_by_role("link", name="trees")).to_be_visible()
    cookies = page.context.cookies()
    assert [cookie["httpOnly"] for cookie in cookies] == [True]
    page.reload()
    expect(page.get_by_role("link", name="trees")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_focused()
    assert page.context.cookies() == []
    page.context.close()
