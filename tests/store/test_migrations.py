"""Migrations and models describe the same tables, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from store.db import Database
from store.errors import SchemaOutdated
from store.migrate import alembic_config, check_schema, upgrade
from store.settings import Settings
from store.stores import open_stores
from tests.servers import PostgresServer
from tests.store.sample_rows import architecture, claim, kinds, queue_search

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return Settings(database_url=server.new_database()).resolved_database_url


def test_the_migrations_create_the_tables_of_the_models(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    command.check(alembic_config(empty_database_url))


def test_a_downgrade_and_an_upgrade_lead_to_the_same_tables(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    command.downgrade(alembic_config(empty_database_url), "base")
    upgrade(empty_database_url)
    command.check(alembic_config(empty_database_url))


def test_rows_survive_a_downgrade_and_an_upgrade(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    stores = open_stores(Settings(database_url=empty_database_url))
    search_id = queue_search(stores)
    stores.updates.architecture(claim(stores), architecture())
    before = kinds(stores, search_id)
    stores.close()
    command.downgrade(alembic_config(empty_database_url), "20261123_01")
    upgrade(empty_database_url)
    stores = open_stores(Settings(database_url=empty_database_url))
    assert kinds(stores, search_id) == before == ["created", "claimed", "architecture"]
    assert len(stores.architectures.of_search(search_id)) == 1
    stores.close()


def test_an_outdated_schema_is_refused_with_the_command_that_upgrades_it(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with pytest.raises(SchemaOutdated, match=r"python -m store\.migrate"):
        check_schema(database)
    upgrade(empty_database_url)
    check_schema(database)
    database.close()


@pytest.mark.parametrize(("revision", "served"), [("29991231_01", True), ("20261123_00", False), ("", False)])
def test_a_schema_of_a_later_version_is_served_beside_it(empty_database_url: str, revision: str, served: bool) -> None:
    """While a service is upgraded, older replicas go on. One that is unknown and not later is of something else."""
    upgrade(empty_database_url)
    database = Database(empty_database_url)
    with database.session_scope() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    if served:
        check_schema(database)
    else:
        with pytest.raises(SchemaOutdated):
            check_schema(database)
    database.close()


@pytest.mark.long
def test_two_concurrent_upgrades_both_succeed(empty_database_url: str) -> None:
    command_line = [sys.executable, "-m", "store.migrate"]
    environment = os.environ | {"DATABASE_URL": empty_database_url}
    upgrades = [subprocess.Popen(command_line, cwd=ROOT, env=environment) for _ in range(2)]
    assert [process.wait(60) for process in upgrades] == [0, 0]
    database = Database(empty_database_url)
    check_schema(database)
    database.close()
