"""The database: one engine for SQLite or PostgreSQL, its clock, and the only place that commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

# Up to 3.51.2 a checkpoint of the write-ahead log can race with a reset of it and damage the file.
WAL_SAFE_SINCE = (3, 51, 3)
# Raised by every store when the database is down, too slow or unreachable: nothing was changed, asking again may help.
UNAVAILABLE: tuple[type[Exception], ...] = (OperationalError, InterfaceError, PoolTimeout)
_SQLITE_BUSY_S = 30
_POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    # Whoever falls asleep inside a transaction is put out before those who wait for its locks give up.
    "options": "-c statement_timeout=30s -c lock_timeout=15s -c idle_in_transaction_session_timeout=10s",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}


class Database:
    """Sessions on one database. Cheap to make, connects on first use; never share one across a fork."""

    def __init__(self, url: str) -> None:
        self.engine = _make_engine(make_url(url))
        self._reading = self.engine.execution_options(autonl_read_only=True)

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """One transaction that may write: commits at the end, rolls back on any exception. The only commit there is."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session
            session.commit()

    @contextmanager
    def read_scope(self) -> Iterator[Session]:
        """One transaction that only reads; whatever it changed is rolled back. It takes no write lock on SQLite."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session
            session.expunge_all()  # the rows stay readable after the rollback
            session.rollback()

    def close(self) -> None:
        self.engine.dispose()


def now(session: Session) -> datetime:
    """The time by the database's clock, in UTC; the one clock that leases are compared with.

    PostgreSQL's `clock_timestamp` goes on inside a transaction, unlike `now()`, which would be early after a wait for a
    lock. SQLite has no clock of its own: its processes share the host's.
    """
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment.astimezone(UTC)


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": _SQLITE_BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.drivername == "postgresql+psycopg":
        return create_engine(url, connect_args=_POSTGRES_OPTIONS, pool_pre_ping=True, pool_recycle=1800)
    raise ValueError(
        f"DATABASE_URL names {url.drivername!r}; supported are sqlite:///FILE and postgresql://USER:PASSWORD@HOST/NAME"
    )


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver at its first write
    connection.execute("PRAGMA foreign_keys=ON")
    journal_mode = "WAL" if sqlite3.sqlite_version_info >= WAL_SAFE_SINCE else "DELETE"
    connection.execute(f"PRAGMA journal_mode={journal_mode}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and then writes could otherwise fail as busy."""
    reading = connection.get_execution_options().get("autonl_read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
