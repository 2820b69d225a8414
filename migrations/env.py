"""Runs migrations inside one transaction, on the database of the settings or the one that the caller names."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, event, text

from store.db import Database
from store.models import Base
from store.settings import Settings

_LOCK = 7_130_219_884  # any number, the same in every process that migrates


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite holds its one write lock already
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    context.run_migrations()


database = Database(context.config.attributes.get("database_url") or Settings().resolved_database_url)
if database.engine.dialect.name == "sqlite":
    # SQLite changes a table by writing a new one and dropping the old, whose rows would take theirs in other tables
    # along. References are checked at the end instead; the switch works outside of transactions only.
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
try:
    with database.engine.begin() as connection:
        _migrate(connection)
finally:
    database.close()
