"""Real servers for the tests of the worker."""

from __future__ import annotations

from tests.servers import broker, database_url, migrated_sqlite, postgres, settings, stores

__all__ = ["broker", "database_url", "migrated_sqlite", "postgres", "settings", "stores"]
