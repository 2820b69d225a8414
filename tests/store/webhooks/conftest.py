"""Fixtures: the stores on both databases, and a clock that tests move."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from store.db import now
from tests.servers import database_url, settings, stores

__all__ = ["clock", "database_url", "settings", "stores"]


class MovedClock:
    """The database's clock, moved ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self, session: Session) -> datetime:
        return now(session) + timedelta(seconds=self.ahead_s)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()
