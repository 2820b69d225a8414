"""One row by its id, as cheaply as a database allows: for what many clients ask for every other second.

No session and no transaction of SQLAlchemy: on PostgreSQL, the tenant and the query go in one message.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import OperationalError

from store.tenant_sessions import ALL_TENANTS

if TYPE_CHECKING:
    import psycopg

_SET_TENANT = "SELECT set_config('autonl.tenant', %s, true)"


def read_row(engine: Engine, tenant_id: str | None, columns: str, table: str, row_id: str) -> tuple[Any, ...] | None:
    """Columns of a row of a table of tenants, or None if this tenant has no such row; `tenant_id` None: any has.

    Args:
        columns, table: of our own, never of a client.

    Raises:
        OperationalError: the database is unavailable.
    """
    is_sqlite = engine.dialect.name == "sqlite"
    look = _look_sqlite if is_sqlite else _look_postgresql
    driver = engine.dialect.loaded_dbapi  # psycopg is in memory only where it is needed
    failures = (driver.OperationalError,) if is_sqlite else (driver.OperationalError, driver.InterfaceError)
    query = f"SELECT {columns} FROM {table} WHERE id = %s"  # noqa: S608  (both names are our own)
    values: tuple[str, ...] = (row_id,)
    if tenant_id is not None:
        query, values = f"{query} AND tenant_id = %s", (row_id, tenant_id)
    connection = engine.raw_connection()
    try:
        return look(connection, tenant_id or ALL_TENANTS, query, values)
    except failures as error:
        if not isinstance(error, sqlite3.Error):
            connection.invalidate(error)
        raise OperationalError(query, values, error) from error
    finally:
        connection.close()


def _look_sqlite(
    connection: PoolProxiedConnection, _tenant: str, query: str, values: tuple[str, ...]
) -> tuple[Any, ...] | None:
    driver: sqlite3.Connection = connection.driver_connection  # type: ignore[assignment]
    row: tuple[Any, ...] | None = driver.execute(query.replace("%s", "?"), values).fetchone()
    return row


def _look_postgresql(
    connection: PoolProxiedConnection, tenant: str, query: str, values: tuple[str, ...]
) -> tuple[Any, ...] | None:
    import psycopg

    driver: psycopg.Connection[tuple[Any, ...]] = connection.driver_connection  # type: ignore[assignment]
    driver.autocommit = True  # both statements are one transaction, without a message to begin or to end it
    try:
        with psycopg.ClientCursor(driver) as cursor:
            cursor.execute(f"{_SET_TENANT}; {query}", (tenant, *values))
            cursor.nextset()
            return cursor.fetchone()
    finally:
        if not driver.closed:
            driver.autocommit = False
