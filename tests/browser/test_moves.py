"""How the architecture moved: a slider by keyboard, the network at each stop, gates, changes, epochs as they end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.full_results import EPOCHS
from tests.browser.seeded_views import Service, claimed
from tests.browser.test_live_updates import freeze
from tests.browser.watched_pages import PHONE, Pages, expect, go
from tests.store.sample_epochs import history, report

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def at(page: Page) -> Locator:
    return page.locator(".moves-at")


def test_the_slider_goes_from_epoch_to_epoch_by_keys_and_says_where_it_is(page: Page, service: Service) -> None:
    go(page, service.views.addresses["failed"])
    found = service.client.get(f"{service.views.addresses['failed']}/architecture-history").json()
    slider = page.get_by_role("slider", name="Epoch")
    slider.focus()
    expect(at(page)).to_contain_text("What was derived, by candidates and finalists")
    for key, place in (("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("ArrowUp", 2)):
        page.keyboard.press(key)
        entry = found["epochs"][place]
        said = f"Epoch {entry['epoch']} of {EPOCHS}: "
        said += ("", "1 position changed, ", "nothing changed, ")[place]
        said += f"{entry['macs'] / 1000:.0f}k MACs, validation top-1 {entry['val_top1_pct']:.2f}%"
        expect(slider).to_have_attribute("aria-valuetext", said)
        expect(at(page)).to_have_text(said)
        cards = page.locator(".moves .blocks > li")
        expect(cards).to_have_count(len(found["positions"]))
        expect(page.locator(".moves .block.moved")).to_have_count(len(entry["changed"]))
    expect(slider).to_be_focused()
    page.keyboard.press("End")
    expect(at(page)).to_contain_text("What was derived")


def test_the_table_has_shares_that_add_up_and_every_gate(page: Page, service: Service) -> None:
    go(page, service.views.addresses["failed"])
    found = service.client.get(f"{service.views.addresses['failed']}/architecture-history").json()
    page.get_by_role("slider", name="Epoch").focus()
    page.keyboard.press("Home")
    page.get_by_text("Positions and gates at this stop").click()
    rows = page.get_by_role("region", name="Positions and gates at this stop").locator("tbody tr")
    expect(rows).to_have_count(len(found["positions"]) + 2)
    macs = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(4)").all_text_contents()]
    assert sum(macs[:-1]) == macs[-1] == found["epochs"][0]["macs"]
    likely = found["epochs"][0]["gates"][0]
    gate = found["gates"][0]
    expect(rows.nth(gate["position"] - 1)).to_contain_text(f"{gate['title']} {100 * likely:.0f}%")


def test_what_changed_when_is_a_list(page: Page, service: Service) -> None:
    go(page, service.views.addresses["failed"])
    page.get_by_text("What changed when").click()
    lines = page.locator(".moves .differences li")
    expect(lines).to_have_count(4)  # of six epochs, every second one changed something; and deriving did
    expect(lines.first).to_contain_text("epoch 2 · 2 (stage")
    expect(lines.last).to_contain_text("derived")


def test_the_places_of_light_nl_are_a_picture_with_words_and_so_are_other_gates(page: Page, service: Service) -> None:
    go(page, service.views.addresses["failed"])
    expect(page.get_by_role("img", name="LightNL: after epoch 6 more likely than not at position")).to_be_visible()
    page.get_by_label("How likely this gate is open").select_option("kernel")
    expect(page.get_by_role("img", name="kernel 5: after epoch 6 more likely than not at")).to_be_visible()


def test_every_block_of_the_result_has_its_share_of_the_macs(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    best = service.client.get(service.views.addresses["succeeded"]).json()["best"]
    page.get_by_text("MACs and parameters of every block").click()
    rows = page.get_by_role("region", name="MACs and parameters of every block").locator("tbody tr")
    macs = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(4)").all_text_contents()]
    assert sum(macs[:-1]) == macs[-1] == best["macs"]
    share = rows.nth(1).locator("td").nth(4)
    expect(page.locator(".architecture .block:not(.end)").first).to_have_attribute(
        "title", re.compile(rf"MACs \({share.text_content()} of all\)")
    )


def test_every_block_of_the_result_has_its_share_of_the_time(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    page.get_by_text("MACs and parameters of every block").click()
    rows = page.get_by_role("region", name="MACs and parameters of every block").locator("tbody tr")
    shares = [float(text.rstrip("%")) for text in rows.locator("td:nth-child(9)").all_text_contents()]
    assert sum(shares[:-1]) == pytest.approx(shares[-1], abs=0.3)
    assert shares[-1] == 100
    card = page.locator(".architecture .block:not(.end)").first
    expect(card).to_have_attribute("title", re.compile(rf"{shares[1]}% of the time of one image in PyTorch"))
    expect(page.locator(".architecture .hint")).to_contain_text("Time: medians for one image in PyTorch")


def test_it_says_that_nothing_moved(page: Page, service: Service) -> None:
    go(page, service.views.addresses["unmoved"])
    expect(page.locator(".moves .hint").first).to_contain_text("The network was the same after every epoch")
    expect(page.get_by_role("slider", name="Epoch")).to_be_visible()  # gates may have moved all the same
    go(page, service.views.addresses["starting"])
    expect(page.locator(".moves .hint")).to_have_text("The first epoch of the supernet has not ended yet.")
    expect(page.get_by_role("slider", name="Epoch")).to_have_count(0)


def test_an_epoch_is_shown_when_it_has_ended_and_a_stop_that_was_chosen_stays(pages: Pages, service: Service) -> None:
    page = pages.open("/weights", width=PHONE)
    expect(page.locator("#main td").first).to_be_visible()
    lease = claimed(service.client, service.stores)
    freeze(page, f"/searches/{lease.search_id}")
    networks = history(1, 2, 3, derived=4)
    report(service.stores, lease, networks[:1])
    expect(at(page)).to_contain_text(f"Epoch 1 of {EPOCHS}")
    report(service.stores, lease, networks[1:2])
    expect(at(page)).to_contain_text(f"Epoch 2 of {EPOCHS}")
    page.get_by_role("slider", name="Epoch").press("Home")
    expect(at(page)).to_contain_text(f"Epoch 1 of {EPOCHS}")
    report(service.stores, lease, networks[2:])
    expect(page.get_by_role("slider", name="Epoch")).to_have_attribute("max", "3")
    expect(at(page)).to_contain_text(f"Epoch 1 of {EPOCHS}")
    service.stores.claims.fail(lease, "DatasetError", "none")
    page.context.close()
