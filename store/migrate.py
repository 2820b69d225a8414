"""Upgrades the database to the newest schema, and checks whether it is. `python -m store.migrate` upgrades."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import migrations
from store.db import Database
from store.errors import SchemaOutdated
from store.settings import Settings


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Apply the missing migrations. Safe to repeat, and to run from several processes at once."""
    command.upgrade(alembic_config(database_url), "head")


def check_schema(database: Database) -> None:
    """Raises SchemaOutdated unless the database is at the newest migration that this version knows, or at a newer one.

    Migrations only add, until the version after the next: during an upgrade, older processes go on beside newer ones.
    """
    head = _known().get_current_head() or ""
    with database.engine.connect() as connection:
        current = schema_of(connection)
    is_newer = current is not None and current > head and not knows_schema(current)
    if current != head and not is_newer:
        raise SchemaOutdated(
            f"the database schema is {current or 'missing'}, this version needs {head}; run: python -m store.migrate"
        )


def schema_of(connection: Connection) -> str | None:
    """The revision that the database is at; None if it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def knows_schema(revision: str) -> bool:
    """Whether this version knows, and can upgrade, a database at this revision."""
    return revision in {one.revision for one in _known().walk_revisions()}


def _known() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config(""))


if __name__ == "__main__":
    upgrade(Settings().resolved_database_url)
