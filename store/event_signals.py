"""Waits until an event may have been logged: on PostgreSQL it says so, elsewhere some time passes."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import PoolProxiedConnection

from store.db import UNAVAILABLE, Database

CHANNEL = "autonl_events"  # on which a trigger sends the id of a search whenever an event is inserted
_TOGETHER_S = 0.05  # events within this time are read together

log = logging.getLogger(__name__)


class EventSignals:
    """For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: PoolProxiedConnection | None = None
        self._is_closed = False

    def wait(self, timeout_s: float) -> None:
        """Return when an event may have been logged, at the latest after `timeout_s`."""
        if self._database.engine.dialect.name == "sqlite":
            time.sleep(timeout_s)
            return
        began = time.monotonic()
        try:
            if self._hears(timeout_s):
                time.sleep(_TOGETHER_S)
        except UNAVAILABLE + _driver_errors() as error:
            if self._is_closed:  # while it listened
                return
            log.warning("PostgreSQL does not say when there are events; looking every %g s: %s", timeout_s, error)
            self._disconnect()
            time.sleep(max(0.0, timeout_s - (time.monotonic() - began)))

    def close(self) -> None:
        self._is_closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None

    def _hears(self, timeout_s: float) -> bool:
        driver = self._listening()
        return any(True for _ in driver.notifies(timeout=timeout_s, stop_after=1))

    def _listening(self) -> Any:
        """The driver's connection, which does nothing else."""
        if self._connection is None:
            self._connection = self._database.engine.raw_connection()
            driver = self._connection.driver_connection
            assert driver is not None
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
        return self._connection.driver_connection


def _driver_errors() -> tuple[type[Exception], ...]:
    import psycopg

    return (psycopg.Error,)
