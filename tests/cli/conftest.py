"""A running API for the client commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from store.settings import Settings
from tests.api.conftest import shared_broker
from tests.api.http_service import serving
from tests.servers import stores

__all__ = ["service", "settings", "shared_broker", "stores"]


@pytest.fixture
def settings(migrated_sqlite: Path, shared_broker: str, tmp_path: Path) -> Settings:
    """Settings of a single-user service: any folder may be registered as a dataset."""
    (tmp_path / "data").mkdir()
    shutil.copy(migrated_sqlite, tmp_path / "data" / "autonl.db")
    return Settings(data_dir=tmp_path / "data", broker_url=shared_broker, dataset_roots=(Path("/"),))


@pytest.fixture
def service(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A running API, which the commands find through AUTONL_URL."""
    with serving(settings) as client:
        monkeypatch.setenv("AUTONL_URL", str(client.base_url))
        yield client
