"""The report of a search: read on a desktop and on a phone, and printed."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import violations
from tests.browser.full_results import report_html
from tests.browser.seeded_views import Service
from tests.browser.watched_pages import DESKTOP, PHONE, Pages, Scheme, expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIGURES = ("animals within 40M MACs", "95.00%", "57 of 60 images", "6,072,128", "3,112,193", "1.50 ms")
ANSWERS = ("names the class of an image", "cat taken for dog", "licence")


def test_a_finished_search_links_to_it(page: Page, service: Service) -> None:
    go(page, service.views.addresses["succeeded"])
    link = page.get_by_role("link", name="Report", exact=True)
    expect(link).to_have_attribute("href", f"searches/{service.views.searches['succeeded']}/report")


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_it_is_accessible_and_fits_the_page(pages: Pages, tmp_path: Path, width: int, scheme: Scheme) -> None:
    """As a file, because the policy with which it is served lets no script run on it, axe's included."""
    (tmp_path / "report.html").write_bytes(report_html())
    page = pages.open(width=width, scheme=scheme, path="/healthz")
    page.goto((tmp_path / "report.html").as_uri())
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()


def test_its_figures_are_on_the_first_page_that_is_printed(pages: Pages, service: Service) -> None:
    import pypdf

    page = pages.open(path=f"/searches/{service.views.searches['succeeded']}/report")
    printed = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4", print_background=True)))
    first = unicodedata.normalize("NFKC", printed.pages[0].extract_text())  # without ligatures
    assert [figure for figure in (*FIGURES, *ANSWERS) if figure not in first] == []
    assert first.count("confident") == 6  # the mistakes are shown
    assert "Data" not in first  # the details begin on the next page
    assert "Written by AutoNL at the end of the search" in printed.pages[-1].extract_text()
    assert len(printed.pages) < 12
    page.context.close()
