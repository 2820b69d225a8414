"""A finished search: its figures, what it was compared with, its files, its doubtful labels, where it is used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonl_core.spec.doubtful_labels import DoubtfulLabel, DoubtfulLabels
from tests.browser import full_results
from tests.browser.seeded_views import Service, claimed
from tests.browser.watched_pages import expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_its_figures_and_its_notes(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    numbers = page.locator(".numbers")
    expect(numbers).to_contain_text("95.82%")
    expect(numbers).to_contain_text("344 of 359 images, 95% interval 93.2 to 97.5%")
    expect(numbers).to_contain_text("5 min 50 s")
    expect(numbers).to_contain_text("3.2%in the mean; 8.3% before a temperature of 0.72")
    expect(page.get_by_role("meter", name="Share of the MACs budget used")).to_be_visible()
    expect(page.locator(".error .notice")).to_have_text(full_results.NOTE)
    expect(page.locator(".classes tbody tr")).to_have_count(10)
    expect(page.locator(".classes tbody tr").first).to_contain_text("33 of 36")  # the class recognised least


def test_its_latency_beside_the_limit(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    said = "0.287 of 0.3 ms on phone (a phone, 1 thread) predicted, not measured: it was exported elsewhere"
    expect(page.locator("#main").get_by_text(said)).to_be_visible()


def test_what_it_was_compared_with(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    part = page.locator(".baselines")
    expect(part).to_contain_text("Whether the search was worth its compute is not known")
    names = part.locator("tbody td:first-child")
    expect(names).to_have_text(["the result", "The whole pretrained network", "Every block cut alike"])
    expect(part).to_contain_text("mobilenet v2: no score, because it ran out of memory.")


def test_the_trade_off_is_a_picture_with_words(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    picture = page.get_by_role("img", name="24 networks measured; on the front are")
    expect(picture).to_be_visible()
    expect(picture.locator(".dot")).to_have_count(24)
    expect(picture.locator(".dot.chosen title")).to_contain_text("95.82% on the test split")


def test_files_are_downloaded_and_those_withheld_say_why(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    expect(page.locator(".downloads tr").filter(has_text="withheld")).to_contain_text("it loses 12.3 points")
    with page.expect_download() as download:
        page.get_by_role("link", name="model.safetensors").click()
    assert download.value.path().stat().st_size == 64_000
    with page.expect_download() as bundle:
        page.get_by_role("link", name="Download bundle").click()
    assert bundle.value.suggested_filename.endswith(".zip")


def test_its_history_is_unfolded(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    page.get_by_role("heading", name="Events").click()
    events = page.get_by_role("list", name="Events, newest first")
    expect(events).to_contain_text("promoted")
    expect(events.get_by_role("listitem").last).to_contain_text("dataset digits · flops budget 400,000")
    page.get_by_role("heading", name="Logs").click()
    expect(page.get_by_role("heading", name="Attempt 2")).to_be_visible()


def test_repeats_and_budgets_link_to_each_other(page: Page, service: Service) -> None:
    go(page, service.views.addresses["repeats"])
    expect(page.locator(".repeats")).to_contain_text("95.00% in the mean of 3 (95% interval 92.52% to 97.48%)")
    page.locator(".repeats").get_by_role("link", name="4").click()
    expect(page.locator(".detail-head")).to_contain_text("seed 4")
    go(page, service.views.addresses["budgets"])
    other = page.get_by_role("region", name="All budgets").get_by_role("link")
    expect(other).to_have_count(1)
    other.click()
    expect(page.locator("#main h1")).to_have_text("digits within 300k MACs")


def test_doubtful_labels_are_shown_in_parts_and_a_corrected_dataset_is_made(page: Page, service: Service) -> None:
    lease = claimed(service.client, service.stores, dataset="trees", flops_budget="1.2M")
    files = [f"train/{name}/{number}.png" for name in ("ash", "elm") for number in (1, 2)]
    labels = DoubtfulLabels(32, [DoubtfulLabel(file, "train", "ash", 4.0, "elm", 95.0) for file in files])
    contents = {"safetensors": b"network of trees", "doubtful-labels": json.dumps(labels.to_json()).encode()}
    full_results.finish(service.stores, lease, service.folder, full_results.full_result(), contents)
    go(page, f"/searches/{lease.search_id}")
    page.get_by_role("button", name="Show the images").click()
    shown = page.get_by_role("list", name="Images with doubtful labels")
    expect(shown).to_be_focused()
    expect(shown.get_by_role("listitem")).to_have_count(4)
    make = page.get_by_role("button", name="Make a dataset without the marked images")
    said = page.locator(".correction [role=status]")
    make.click()
    expect(said).to_have_text("Mark the images to leave out first.")
    shown.get_by_label("leave out").first.check()
    page.get_by_label("Name of the corrected dataset").fill("no spaces!")
    make.click()
    expect(said).to_contain_text("Name: a name has 1 to 64 characters")
    page.get_by_label("Name of the corrected dataset").fill("trees-corrected")
    make.click()
    expect(said).to_contain_text("Dataset trees-corrected has")
    service.client.delete("/datasets/trees-corrected").raise_for_status()


def test_a_long_list_of_doubtful_labels_continues(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    page.get_by_role("button", name="Show the images").click()
    shown = page.get_by_role("list", name="Images with doubtful labels").get_by_role("listitem")
    expect(shown).to_have_count(24)
    page.get_by_role("button", name="Show 6 more of 6").click()
    expect(shown).to_have_count(30)
    expect(shown.nth(24)).to_be_focused()


def test_a_result_is_promoted_and_rolled_back(page: Page, service: Service) -> None:
    go(page, service.views.addresses["repeats"])
    page.get_by_label("Model", exact=True).fill("shapes")
    page.get_by_label("Alias").fill("no spaces!")
    page.get_by_role("button", name="Promote").click()
    said = page.locator(".promotion [role=status]")
    expect(said).to_contain_text("Alias: a name has 1 to 64 characters")
    page.get_by_label("Alias").fill("prod")
    page.get_by_label("Note").fill("the first")
    page.get_by_role("button", name="Promote").click()
    expect(said).to_have_text("shapes@prod stands for this search from now on.")
    go(page, service.views.addresses["succeeded"])
    page.get_by_label("Model", exact=True).fill("shapes")
    page.get_by_role("button", name="Promote").click()
    page.get_by_role("link", name="shapes@prod").click()
    expect(page.locator("#main h1")).to_have_text("Model shapes")
    aliases = page.get_by_role("region", name="Aliases")
    expect(aliases).to_contain_text("95.82%")
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator("#main [role=status]").first).to_have_text("prod was rolled back")
    expect(aliases).to_contain_text("back to number 1")
    expect(page.get_by_role("region", name="History").locator("tbody tr")).to_have_count(3)
