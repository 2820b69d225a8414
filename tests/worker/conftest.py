"""Real servers, short intervals and scripted searches for the tests of the worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.settings import Settings
from store.stores import Stores, open_stores
from tests.servers import PostgresServer, broker

__all__ = ["broker"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _processes_import_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    """PostgreSQL, as in production; `tests/store` specifies that SQLite behaves the same."""
    return postgres.emptied_database()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A service with short intervals, and leases long enough for a busy machine."""
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        beat_s=0.2,
        lease_s=6,
        poll_s=0.05,
        sweep_s=0.1,
        stop_grace_s=10,
        crash_backoff_s=0,
        threads=1,
    )


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    opened = open_stores(settings)
    yield opened
    opened.close()
