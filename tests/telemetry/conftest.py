"""Databases for the tests of metrics that are read from rows."""

from __future__ import annotations

from tests.servers import database_url, settings, stores

__all__ = ["database_url", "settings", "stores"]
