"""The database: one engine for SQLite or PostgreSQL, its clock, and the only place that commits.

A database that is bound to a tenant has the rows of that tenant only; one that is not, those of all.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, create_engine, event, func, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from store.one_row import read_row
from store.tenant_sessions import TenantSession, bound, set_tenant

if TYPE_CHECKING:
    import psycopg

# Before 3.51.3, a checkpoint of the write-ahead log can race with a reset of the log and damage the file.
WAL_SAFE_SINCE = (3, 51, 3)
# Raised by every store when the database is down, too slow or unreachable. Nothing was changed; a retry may help.
UNAVAILABLE: tuple[type[Exception], ...] = (OperationalError, InterfaceError, PoolTimeout)
_SQLITE_BUSY_S = 30
_POSTGRES_DISK_FULL = "53100"
_USED_AT, _IDLE_S = "autonl_used_at", 1.0
_POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    # A client that hangs inside a transaction is disconnected before those that wait for its locks time out.
    "options": "-c statement_timeout=30s -c lock_timeout=15s -c idle_in_transaction_session_timeout=10s",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}


class Database:
    """Sessions on one database. Cheap to create, connects on first use; never share one across a fork."""

    def __init__(self, where: str | Engine, tenant_id: str | None = None) -> None:
        """Args:
        where: the URL, or the engine of another database whose connections this one shares.
        tenant_id: the tenant that this database is bound to; None: to none.
        """
        engine = _make_engine(make_url(where)) if isinstance(where, str) else where
        self._bound, self._tenant_id = bound(tenant_id), tenant_id
        self.engine = engine.execution_options(**self._bound)
        self._reading = self.engine.execution_options(autonl_read_only=True)
        self._watching: PoolProxiedConnection | None = None

    def of_tenant(self, tenant_id: str) -> Database:
        """The rows of one tenant, on the connections of this database. It need not be closed."""
        return Database(self.engine, tenant_id)

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """One transaction that may write: commits at the end, rolls back on any exception. Nothing else commits."""
        with TenantSession(self.engine, info=self._bound, expire_on_commit=False, autoflush=False) as session:
            yield session
            session.commit()

    @contextmanager
    def read_scope(self) -> Iterator[Session]:
        """One transaction that only reads: any change is rolled back. It takes no write lock on SQLite."""
        with TenantSession(self._reading, info=self._bound, expire_on_commit=False) as session:
            yield session
            session.expunge_all()  # the rows stay readable after the rollback
            session.rollback()

    def row(self, columns: str, table: str, row_id: str) -> tuple[Any, ...] | None:
        """Columns of one row, by the cheapest way there is; None: there is none. Both names are our own."""
        return read_row(self.engine, self._tenant_id, columns, table, row_id)

    def version(self) -> int | None:
        """A number that another one follows whenever something is committed; None if the database keeps none.

        Only SQLite does, and compares only for one connection, which therefore does nothing else.
        """
        if self.engine.dialect.name != "sqlite":
            return None
        if self._watching is None:
            self._watching = self.engine.raw_connection()
        cursor = self._watching.cursor()
        cursor.execute("PRAGMA data_version")
        (version,) = cursor.fetchone() or (None,)
        return version

    def close(self) -> None:
        if self._watching is not None:
            self._watching.close()
            self._watching = None
        self.engine.dispose()


def is_full(error: BaseException) -> bool:
    """Whether an error of `UNAVAILABLE` says that the disk of the database is full. Nothing was changed."""
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return getattr(cause, "sqlstate", None) == _POSTGRES_DISK_FULL


def now(session: Session) -> datetime:
    """The time by the database's clock, in UTC. Leases are compared with no other clock.

    PostgreSQL's `clock_timestamp` advances inside a transaction, unlike `now()`, which would be too early after a wait
    for a lock. SQLite has no clock of its own: its processes share the host's.
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
        engine = create_engine(url, connect_args=_POSTGRES_OPTIONS, pool_recycle=1800)
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", _ping_if_idle)
        event.listen(engine, "begin", set_tenant)
        return engine
    raise ValueError(
        f"DATABASE_URL names {url.drivername!r}; use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    )


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin below, not in the driver at the first write
    connection.execute("PRAGMA foreign_keys=ON")
    journal_mode = "WAL" if sqlite3.sqlite_version_info >= WAL_SAFE_SINCE else "DELETE"
    connection.execute(f"PRAGMA journal_mode={journal_mode}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once; otherwise a transaction that reads before it writes could fail as busy."""
    if connection.get_execution_options().get("autonl_read_only", False):
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        driver.execute("BEGIN")  # takes no lock yet, so it cannot fail, and passes by much that would cost time
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _ping_if_idle(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _proxy: object) -> None:
    """Have a connection replaced that its server closed meanwhile. One that was used just now is not asked."""
    if time.monotonic() - record.info.get(_USED_AT, -_IDLE_S) < _IDLE_S:
        return
    import psycopg  # which only a service on PostgreSQL has in memory

    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError(str(error)) from error
