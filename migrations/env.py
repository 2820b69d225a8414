"""Runs the migrations in one transaction, on the database that the caller names or else the one in the settings."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, event, text

from store import device_rows as _device_rows  # noqa: F401
from store.db import Database
from store.model_registry import rows as _promotion_rows  # noqa: F401
from store.models import Search
from store.settings import Settings
from store.webhooks import rows as _webhook_rows  # noqa: F401  (its tables are in the metadata)

_LOCK = 7_130_219_884  # an arbitrary number, the same in every process that migrates


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # on SQLite, the transaction already holds the only write lock
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    context.configure(
        connection=connection,
        target_metadata=Search.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    context.run_migrations()


database = Database(context.config.attributes.get("database_url") or Settings().resolved_database_url)
if database.engine.dialect.name == "sqlite":
    # To alter a table on SQLite, Alembic copies it and drops the original, which would cascade to the rows that refer
    # to it. So foreign keys are off during a migration; the pragma only works outside of transactions.
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
try:
    with database.engine.begin() as connection:
        _migrate(connection)
finally:
    database.close()
