"""A database that is bound to a tenant has the rows of that tenant only: twice on PostgreSQL, where an owner of tables
that is no superuser meets row-level security too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete, exists, func, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import aliased

from store.errors import NotFound, OtherTenant
from store.migrate import upgrade
from store.models import Artifact, Dataset, Event, Search
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.servers import PostgresServer
from tests.store.sample_rows import architecture, claim, queue_search


@pytest.fixture
def both(stores: Stores) -> tuple[Stores, Stores]:
    for tenant_id in ("ants", "bees"):
        stores.tenants.create(tenant_id)
    return stores.of_tenant("ants"), stores.of_tenant("bees")


def test_every_form_of_statement_finds_only_rows_of_the_tenant(both: tuple[Stores, Stores], stores: Stores) -> None:
    ants, bees = both
    mine, others = queue_search(ants), queue_search(bees)
    other = aliased(Search)
    numbered = select(Search.id, func.row_number().over(order_by=Search.id).label("place")).subquery()
    with ants.database.read_scope() as session:
        assert session.scalars(select(Search.id)).all() == [mine]
        assert session.scalars(select(other.id)).all() == [mine]
        assert session.scalars(select(Event.search_id)).all() == [mine]
        assert session.scalar(select(func.count()).select_from(Search)) == 1
        assert session.execute(select(numbered)).all() == [(mine, 1)]
        assert session.scalar(select(exists().where(Search.id == others))) is False
        assert session.scalars(select(Search.id).where(Search.id.in_(select(other.id)))).all() == [mine]
        assert session.get(Search, others) is None
        assert session.get(Event, (others, 1)) is None
    with ants.database.session_scope() as session:
        changed = update(Search).where(Search.id.in_([mine, others])).values(ring_count=7).returning(Search.id)
        assert session.scalars(changed).all() == [mine]
        session.execute(delete(Search))
    with pytest.raises(NotFound):
        stores.searches.get(mine)
    assert stores.searches.get(others).ring_count == 0


def test_a_new_row_belongs_to_the_tenant_of_the_database(both: tuple[Stores, Stores], stores: Stores) -> None:
    ants, bees = both
    assert stores.searches.get(queue_search(ants)).tenant_id == "ants"
    assert stores.searches.get(queue_search(stores)).tenant_id == "default"
    with pytest.raises(OtherTenant, match="'bees'"), ants.database.session_scope() as session:
        session.add(Dataset(tenant_id="bees", name="x"))
    assert bees.datasets.list() == ants.datasets.list()  # the built-in ones


def test_a_worker_takes_the_searches_of_all_tenants_and_what_it_writes_is_theirs(
    both: tuple[Stores, Stores], stores: Stores
) -> None:
    ants, bees = both
    queue_search(ants)
    lease = claim(stores)
    stores.updates.architecture(lease, architecture())
    found = ants.architectures.get(architecture().arch_id)
    assert found.search_id == lease.search_id
    with pytest.raises(NotFound):
        bees.architectures.get(architecture().arch_id)


def test_a_name_is_a_tenant_s_own(both: tuple[Stores, Stores], stores: Stores, tmp_path: Path) -> None:
    for tenant in both:
        assert tenant.datasets.add_path("photos", "folder", tmp_path).created
    both[0].datasets.delete("photos")
    with pytest.raises(NotFound):
        both[0].datasets.get("photos")
    assert both[1].datasets.get("photos").spec.location == str(tmp_path)


def test_an_idempotency_key_is_a_tenant_s_own(both: tuple[Stores, Stores]) -> None:
    ids = {queue_search(tenant, idempotency_key="k", body_sha256="0" * 64) for tenant in both}
    assert len(ids) == 2
    assert queue_search(both[0], idempotency_key="k", body_sha256="0" * 64) in ids


@pytest.fixture
def owned(postgres: PostgresServer, tmp_path: Path) -> Iterator[Stores]:
    """Stores whose user owns the database and its tables, and is no superuser."""
    name = f"owner_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN NOSUPERUSER".encode())
        connection.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
    url = postgres.url(name).replace("postgres@", f"{name}@")
    settings = Settings(data_dir=tmp_path, database_url=url)
    upgrade(settings.resolved_database_url)
    stores = open_stores(settings)
    for tenant_id in ("ants", "bees"):
        stores.tenants.create(tenant_id)
    yield stores
    stores.close()


def test_row_level_security_holds_for_statements_without_a_criterion(owned: Stores) -> None:
    mine, others = queue_search(owned.of_tenant("ants")), queue_search(owned.of_tenant("bees"))
    tables = [table.name for table in Search.metadata.sorted_tables]
    with owned.of_tenant("ants").database.session_scope() as session:
        assert session.scalars(text("SELECT id FROM searches")).all() == [mine]
        assert session.scalars(text("SELECT search_id FROM events")).all() == [mine]
        assert session.scalars(text("SELECT id FROM tenants")).all() == ["ants"]
        assert session.execute(text("DELETE FROM searches WHERE id = :id RETURNING id"), {"id": others}).all() == []
    with pytest.raises(ProgrammingError, match="row-level security"), _bees(owned).database.session_scope() as session:
        session.execute(text("UPDATE searches SET tenant_id = 'ants'"))
    with owned.database.read_scope() as session:
        assert set(session.scalars(text("SELECT id FROM searches"))) == {mine, others}
        secured = "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relrowsecurity"
        assert set(session.scalars(text(secured))) == set(tables)


def _bees(stores: Stores) -> Stores:
    return stores.of_tenant("bees")


def test_a_process_of_an_earlier_version_has_the_rows_of_the_default_tenant(owned: Stores) -> None:
    """It says nothing about tenants: it may not run what belongs to one of whom it knows nothing."""
    default, _ = queue_search(owned), queue_search(_bees(owned))
    url = owned.settings.resolved_database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM searches").fetchall() == [(default,)]
        connection.execute("UPDATE searches SET ring_count = ring_count + 1")
    assert owned.searches.get(default).ring_count == 1


def test_a_search_of_an_ordinary_owner_runs_to_its_end(owned: Stores) -> None:
    queue_search(owned.of_tenant("ants"))
    lease = claim(owned)
    owned.updates.architecture(lease, architecture())
    owned.claims.fail(lease, "DatasetError", "too few images")
    owned.of_tenant("ants").searches.delete(lease.search_id)
    with owned.database.read_scope() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 0
        assert session.scalar(select(func.count()).select_from(Artifact)) == 0
