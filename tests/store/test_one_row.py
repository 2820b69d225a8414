"""One row by its id: the same as a session reads, only of the own tenant, and a lost connection is noticed."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

import store.db
from store.db import Database
from store.models import Search
from store.stores import Stores
from tests.store.sample_rows import queue_search

COLUMNS = "version, state, family"


def test_it_is_what_a_session_reads(stores: Stores) -> None:
    search_id = queue_search(stores)
    with stores.database.read_scope() as session:
        expected = session.execute(select(Search.version, Search.state, Search.family)).one()
    assert stores.database.row(COLUMNS, "searches", search_id) == tuple(expected)
    assert stores.database.row(COLUMNS, "searches", "0" * 16) is None
    assert stores.database.row(COLUMNS, "searches", "' OR 1=1 --%s") is None


def test_only_the_own_tenant_has_it(stores: Stores) -> None:
    for tenant_id in ("ants", "bees"):
        stores.tenants.create(tenant_id)
    ants, bees = stores.of_tenant("ants"), stores.of_tenant("bees")
    of_ants = queue_search(ants)
    assert ants.database.row("tenant_id", "searches", of_ants) == ("ants",)
    assert bees.database.row("tenant_id", "searches", of_ants) is None
    assert stores.database.row("tenant_id", "searches", of_ants) == ("ants",)
    with bees.database.read_scope() as session:  # on the same connection: nothing is left of the tenant before
        assert session.scalars(select(Search.id)).all() == []


def test_it_is_read_by_an_index(stores: Stores) -> None:
    queue_search(stores)
    explain = "EXPLAIN" + (" QUERY PLAN" if stores.database.engine.dialect.name == "sqlite" else "")
    with stores.database.read_scope() as session:
        session.execute(text("SET LOCAL enable_seqscan = off" if explain == "EXPLAIN" else "SELECT 1"))
        query = f"{explain} SELECT {COLUMNS} FROM searches WHERE id = 'a' AND tenant_id = 'b'"  # noqa: S608
        plan = "\n".join(str(row) for row in session.execute(text(query)))
    assert "Index" in plan or "INDEX" in plan
    assert "Seq Scan" not in plan


def test_a_lost_connection_is_an_unavailable_database_once(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    if stores.database.engine.dialect.name == "sqlite":
        pytest.skip("a file has no connections to lose")
    search_id = queue_search(stores)
    end_others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    other = Database(stores.settings.resolved_database_url)

    def read() -> object:
        return stores.database.row("id", "searches", search_id)

    def end_connections() -> None:
        with other.read_scope() as session:
            session.execute(text(f"{end_others} AND datname = current_database()"))

    assert read() == (search_id,)
    end_connections()
    with pytest.raises(OperationalError):  # it was used just now, so it was not asked whether it is still there
        read()
    assert read() == (search_id,)
    monkeypatch.setattr(store.db, "_IDLE_S", 0.0)
    end_connections()
    assert read() == (search_id,)
    other.close()
