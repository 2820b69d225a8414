"""The form that starts a search: what it suggests, what it says of mistakes, and what it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.browser.seeded_views import Service
from tests.browser.watched_pages import Pages, expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_the_dataset_added_last_is_suggested_with_a_budget_that_fits(pages: Pages) -> None:
    page = pages.open()
    expect(page.locator("#dataset-hint")).to_contain_text("14 training images and 18 test images, 3 classes")
    expect(page.locator("#budget")).to_have_value("1.2M")
    expect(page.locator("#budget-hint")).to_contain_text("765k to 2.55M MACs are feasible")
    assert page.locator("#dataset").input_value() == "trees"
    assert page.locator("#dataset option").all_inner_texts() == ["digits", "trees"]  # only those that are ready
    page.locator("#budget-slider").fill("1000")
    expect(page.locator("#budget")).to_have_value("2.55M")
    page.context.close()


def test_a_wrong_budget_is_said_while_it_is_typed(page: Page) -> None:
    page.locator("#dataset").select_option("digits")
    budget, said = page.locator("#budget"), page.locator("#budget-problem")
    budget.fill("many")
    expect(said).to_have_text("That is no number of MACs: write one such as 450k, 12M or 1.5G.")
    expect(budget).to_have_attribute("aria-invalid", "true")
    budget.fill("5k")
    expect(said).to_contain_text("is below the smallest network")
    budget.fill("400k")
    expect(said).to_be_hidden()
    expect(budget).not_to_have_attribute("aria-invalid", "true")


def test_what_the_service_refuses_is_listed_by_the_words_beside_the_fields(page: Page) -> None:
    page.locator("#dataset").select_option("digits")
    page.locator("#budget").fill("400k")
    page.get_by_text("More options").click()
    page.locator("#seed").fill("-1")
    page.locator("#mixup").fill("11")
    page.get_by_role("button", name="Start search").click()
    errors = page.locator("#form-errors")
    expect(errors).to_contain_text("Seed must be at least 0")
    expect(errors).to_contain_text("Mixup must be at most 10")
    expect(page.locator("#seed")).to_be_focused()
    expect(page.locator("#seed")).to_have_attribute("aria-invalid", "true")
    page.locator("#seed").fill("3")
    expect(errors).not_to_contain_text("Seed")
    page.locator("#mixup").fill("")
    expect(errors).to_be_hidden()
    page.locator("#seed").fill("")
    page.get_by_text("More options").click()


def started(page: Page, service: Service, title: str) -> dict[str, Any]:
    """Start the search that the form asks for, and return its configuration once the page shows it under `title`."""
    page.get_by_role("button", name="Start search").click()
    expect(page.locator("#main h1")).to_have_text(title)
    search_id = page.evaluate("location.hash").rpartition("/")[2]
    config: dict[str, Any] = service.client.get(f"/searches/{search_id}").json()["config"]
    return config


def test_other_limits_are_refused_by_name_and_asked_for(page: Page, service: Service) -> None:
    page.locator("#dataset").select_option("digits")
    page.locator("#budget").fill("400k")
    page.get_by_text("More options").click()
    page.get_by_label("Parameters", exact=True).fill("100")
    page.get_by_role("button", name="Start search").click()
    expect(page.locator("#form-errors")).to_contain_text("Parameters 100 is below the 16,752 parameters")
    expect(page.get_by_label("Parameters", exact=True)).to_be_focused()
    page.get_by_label("Parameters", exact=True).fill("50k")
    page.get_by_label("Weights bytes").fill("200k")
    constraints = started(page, service, "digits within 400k MACs")["constraints"]
    assert constraints == {"params": 50_000, "weights_bytes": 200_000, "peak_activation_bytes": None}
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".detail-head .badge")).to_have_text("cancelled")
    page.get_by_label("Parameters", exact=True).fill("")
    page.get_by_label("Weights bytes").fill("")
    page.get_by_text("More options").click()


def test_latency_is_limited_on_a_device_that_was_added(page: Page, service: Service) -> None:
    page.locator("#dataset").select_option("digits")
    page.locator("#budget").fill("400k")
    page.get_by_text("More options").click()
    device, latency = page.get_by_label("Device", exact=False), page.get_by_label("Latency ms")
    assert device.locator("option").all_inner_texts() == ["none", "phone (tiny, 8 pixels)"]
    latency.fill("0.001")
    page.get_by_role("button", name="Start search").click()
    expect(page.locator("#form-errors")).to_contain_text("Device is required with latency_ms")
    expect(device).to_be_focused()
    device.select_option("phone")
    expect(page.locator("#budget-hint")).to_contain_text("0.001 is below the")
    latency.fill("0.3")
    expect(page.locator("#budget-hint")).to_contain_text("are feasible")
    constraints = started(page, service, "digits within 400k MACs")["constraints"]
    assert (constraints["latency_ms"], constraints["device"]) == (0.3, "phone")
    page.get_by_role("button", name="Clone").click()
    expect(latency).to_have_value("0.3")
    expect(device).to_have_value("phone")
    page.get_by_role("button", name="Back to the defaults").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".detail-head .badge")).to_have_text("cancelled")
    page.get_by_text("More options").click()


def test_a_search_is_started_with_what_was_chosen(page: Page, service: Service) -> None:
    page.locator("#dataset").select_option("digits")
    page.locator("#budget").fill("390k")
    page.get_by_text("More options").click()
    page.locator("#seed").fill("17")
    page.get_by_label("MobileNetV2").check()
    config = started(page, service, "digits within 390k MACs")
    assert (config["flops_budget"], config["seed"], config["baselines"]) == (390_000, 17, ["mobilenet_v2"])
    expect(page.locator(".search-row[aria-current=page]")).to_contain_text("390k")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".detail-head .badge")).to_have_text("cancelled")
    page.locator("#seed").fill("")
    page.get_by_label("MobileNetV2").uncheck()


def test_a_search_is_cloned_and_the_defaults_come_back(page: Page, service: Service) -> None:
    go(page, service.views.addresses["repeats"])
    page.get_by_role("button", name="Clone").click()
    expect(page.locator("#basis")).to_contain_text(f"With the settings of search {service.views.searches['repeats']}.")
    expect(page.locator("#seed")).to_have_value("3")
    expect(page.locator("#repeat")).to_have_value("3")
    expect(page.locator("#budget")).to_be_focused()
    page.get_by_role("button", name="Back to the defaults").click()
    expect(page.locator("#basis")).to_be_empty()
    expect(page.locator("#seed")).to_have_value("")


def test_another_budget_goes_on_from_the_shared_weights(page: Page, service: Service) -> None:
    go(page, service.views.addresses["budgets"])
    page.get_by_role("button", name="Another budget").click()
    expect(page.locator("#init")).to_have_value(f"search:{service.views.searches['budgets']}")
    page.get_by_role("button", name="Back to the defaults").click()
    expect(page.locator("#init")).to_have_value("")
