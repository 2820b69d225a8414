"""Fixtures: the stores on real databases."""

from __future__ import annotations

from tests.servers import broker, database_url, settings, stores

__all__ = ["broker", "database_url", "settings", "stores"]
