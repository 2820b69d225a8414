"""Weight sets, devices, and names under which results are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.seeded_views import Service
from tests.browser.watched_pages import expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_weights_are_listed_and_what_refuses_one_is_said(page: Page) -> None:
    go(page, "/weights")
    rows = page.get_by_role("region", name="Weights").locator("tbody tr")
    expect(rows.filter(has_text="built-in").first).to_contain_text("ready")
    expect(rows.filter(has_text="new")).to_contain_text("checking")
    expect(rows.filter(has_text="bad")).to_contain_text("refused")
    expect(page.get_by_role("heading", name="Why bad is refused")).to_be_visible()
    expect(page.locator("#main")).to_contain_text("The file is no checkpoint.")


def test_devices_are_listed_with_what_was_measured(page: Page) -> None:
    go(page, "/devices")
    row = page.get_by_role("region", name="Devices").locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("phone")
    expect(row).to_contain_text("test processor, 1 thread, onnxruntime 1.32.0")


def test_models_are_listed_and_lead_to_what_they_stand_for(page: Page, service: Service) -> None:
    go(page, "/models")
    page.get_by_role("link", name="digits@prod").click()
    expect(page.locator("#main h1")).to_have_text("Model digits")
    history = page.get_by_role("region", name="History").locator("tbody tr")
    expect(history).to_have_count(3)
    expect(history.nth(1)).to_contain_text("again, with notes")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download bundle").first.click()
    assert download.value.suggested_filename.endswith(".zip")
    page.get_by_role("region", name="Aliases").get_by_role(
        "link", name=service.views.searches["succeeded"]
    ).first.click()
    expect(page.locator(".detail-head .badge")).to_have_text("succeeded")


def test_names_that_nothing_has_lead_back_to_the_start(page: Page) -> None:
    for address, title in (
        ("/models/nowhere", "There is no model nowhere"),
        ("/datasets/nowhere", "There is no dataset nowhere"),
        ("/searches/no%20id", "There is no search no%20id"),
        ("/what", "There is no page what"),
    ):
        go(page, address)
        expect(page.locator("#main h1")).to_have_text(title)
    page.get_by_role("link", name="Back to the start").click()
    expect(page.locator("#main h1")).to_have_text("A classifier for your images, within your budget")
