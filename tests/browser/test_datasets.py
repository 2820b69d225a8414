"""Datasets: uploaded as an archive or a folder, checked while one looks, read in another way, deleted."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

from tests.api.http_service import check_datasets
from tests.api.test_dataset_layouts import VARIANTS, archive, upload
from tests.browser.seeded_views import Service
from tests.browser.watched_pages import expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDERS = ["ash", "elm"]


def test_all_are_listed_with_their_states(page: Page, service: Service) -> None:
    go(page, "/datasets")
    rows = page.get_by_role("region", name="Datasets").locator("tbody tr")
    expect(rows.filter(has_text="digits")).to_contain_text("1,438")
    expect(rows.filter(has_text="ambiguous")).to_contain_text("invalid")
    rows.get_by_role("link", name="trees").click()
    expect(page.locator("#main h1")).to_have_text("trees")
    expect(page.locator(".findings li").first).to_contain_text("The same picture in training and test")
    expect(page.locator(".sheet img").first).to_have_js_property("complete", True)
    page.get_by_role("button", name="Search on this").click()
    expect(page.locator("#dataset")).to_have_value("trees")
    expect(page.locator("#budget")).to_be_focused()


def test_what_is_wrong_with_one_is_said_with_the_way_out(page: Page, service: Service) -> None:
    go(page, "/datasets/broken")
    expect(page.locator("#main")).to_contain_text("Mend what is listed as an error, and add it again.")
    expect(page.locator(".findings li").first).to_contain_text("has one class, 'a'; a classifier needs at least 2")


def test_an_archive_is_uploaded_and_its_check_is_shown_until_it_is_ready(page: Page, service: Service) -> None:
    go(page, "/datasets")
    page.get_by_role("button", name="Upload").click()
    said = page.locator("#main .problem")
    expect(said).to_have_text("Choose a zip archive or a folder, or drop one here.")
    content = archive(FOLDERS)
    page.get_by_label("Zip archive").set_input_files(
        {"name": "Bäume im Park.zip", "mimeType": "application/zip", "buffer": content}
    )
    name = page.get_by_label("Name", exact=True)
    expect(name).to_have_value("Baume-im-Park")
    name.fill("my trees")
    page.get_by_role("button", name="Upload").click()
    expect(said).to_have_text("Use my-trees: my trees does not follow the rule above.")
    name.fill("trees")
    page.get_by_role("button", name="Upload").click()
    expect(said).to_contain_text("trees")  # the name is taken
    name.fill("park")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#main h1")).to_have_text("park")
    expect(page.locator("#main")).to_contain_text("Waiting for a checker, which opens every image")
    check_datasets(service.stores.settings)
    expect(page.locator("#main .badge").first).to_have_text("ready")
    expect(page.locator("#dataset")).to_have_value("park")  # what was added here is what one searches on next
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#main h1")).to_have_text("Datasets")
    expect(page.locator("#dataset option")).to_have_text(["digits", "trees"])


def test_a_folder_is_packed_on_the_page(page: Page, service: Service) -> None:
    folder = service.folder / "woods"
    with zipfile.ZipFile(BytesIO(archive(FOLDERS, 5))) as packed:
        packed.extractall(folder)
    (folder / ".DS_Store").write_bytes(b"")
    go(page, "/datasets")
    page.get_by_label("or folder").set_input_files(folder)
    expect(page.locator(".drop [role=status]")).to_have_text(
        re.compile(r"woods: 10 files, .* kB; left out: \.DS_Store")
    )
    expect(page.get_by_label("Name", exact=True)).to_have_value("woods")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#main h1")).to_have_text("woods")
    service.client.delete("/datasets/woods")


def test_an_ambiguous_one_is_read_as_its_user_chooses(page: Page, service: Service) -> None:
    upload(service.client, "variants", archive(VARIANTS)).raise_for_status()
    check_datasets(service.stores.settings)
    go(page, "/datasets/variants")
    expect(page.locator(".readings li")).to_have_count(5)
    page.get_by_role("button", name="Use color, grey").click()
    expect(page.locator("#main .badge").first).to_have_text("checking")
    check_datasets(service.stores.settings)
    expect(page.locator("#main .badge").first).to_have_text("ready")
    expect(page.locator(".sheet figcaption")).to_have_text([re.compile("color"), re.compile("grey")])
    service.client.delete("/datasets/variants").raise_for_status()
