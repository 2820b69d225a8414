"""Fixtures: the stores on both databases, and a clock that tests move."""

from __future__ import annotations

import pytest

from tests.servers import database_url, settings, stores
from tests.store.webhooks.hooks import MovedClock

__all__ = ["clock", "database_url", "settings", "stores"]


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()
