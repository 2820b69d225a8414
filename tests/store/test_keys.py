"""Keys: only a hash of the secret is stored, and a key counts until it expires or is revoked."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from store.db import now
from store.errors import NotFound, TenantExists, TenantInUse
from store.keys import ALL_SCOPES, Caller, Scope
from store.models import Search
from store.states import SearchState
from store.stores import Stores
from store.tenant_deletion import delete_tenant
from store.tenant_rows import ApiKey
from tests.store.sample_rows import queue_search


def test_the_database_has_the_hash_of_a_secret_and_not_the_secret(stores: Stores) -> None:
    key, token = stores.keys.create("default", "laptop", [Scope.READ])
    _, key_id, secret = token.split("_")
    assert key_id == key.id
    assert len(bytes.fromhex(secret)) == 32
    with stores.database.read_scope() as session:
        row = session.execute(text("SELECT * FROM api_keys")).one()
    assert secret not in str(row)
    assert hashlib.sha256(secret.encode()).hexdigest() in row
    assert stores.keys.find(token) == Caller("default", frozenset([Scope.READ]), key.id, "laptop")


def test_what_is_not_exactly_a_key_is_of_no_one(stores: Stores) -> None:
    _, token = stores.keys.create("default", "k", [Scope.READ])
    wrong_secret = token[:-1] + ("0" if token[-1] != "0" else "1")
    for other in ("", token[:-1], token + "0", token.upper(), wrong_secret, "autonl_" + "0" * 12 + token[19:], "é"):
        assert stores.keys.find(other) is None, other
        assert stores.keys.find_session(other) is None


def test_a_key_that_expired_or_was_revoked_and_its_sessions_count_no_more(stores: Stores) -> None:
    for end in ("expire", "revoke"):
        key, token = stores.keys.create("default", end, ALL_SCOPES, lasts=timedelta(days=1))
        caller = stores.keys.find(token)
        assert caller is not None
        session_token = stores.keys.sign_in(caller)
        assert stores.keys.find_session(session_token) == caller
        if end == "revoke":
            stores.keys.revoke(key.id)
            stores.keys.revoke(key.id)  # idempotent
        else:
            with stores.database.session_scope() as session:
                past = now(session) - timedelta(seconds=1)
                session.execute(update(ApiKey).where(ApiKey.id == key.id).values(expires_at=past))
        assert stores.keys.find(token) is None
        assert stores.keys.find_session(session_token) is None
    assert not stores.keys.any_valid()


def test_a_session_ends_when_it_is_signed_out(stores: Stores) -> None:
    caller = stores.keys.find(stores.keys.create("default", "k", ALL_SCOPES)[1])
    assert caller is not None
    token = stores.keys.sign_in(caller)
    stores.keys.sign_out(token)
    assert stores.keys.find_session(token) is None


def test_the_last_use_is_written_at_most_once_a_minute(stores: Stores) -> None:
    key, _ = stores.keys.create("default", "k", ALL_SCOPES)

    def last_used() -> object:
        with stores.database.read_scope() as session:
            return session.scalars(select(ApiKey.last_used_at).where(ApiKey.id == key.id)).one()

    stores.keys.used(key.id)
    first = last_used()
    stores.keys.used(key.id)
    assert last_used() == first is not None
    with stores.database.session_scope() as session:
        session.execute(update(ApiKey).values(last_used_at=now(session) - timedelta(seconds=61)))
    stores.keys.used(key.id)
    assert last_used() != first


def test_a_tenant_revokes_only_its_own_keys(stores: Stores) -> None:
    stores.tenants.create("ants")
    key, token = stores.keys.create("ants", "k", ALL_SCOPES)
    with pytest.raises(NotFound):
        stores.of_tenant("default").keys.revoke(key.id)
    assert stores.keys.find(token) is not None
    assert stores.of_tenant("default").keys.all() == []


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a" * 33, "a/b", "..", "a b", "ä"])
def test_a_name_that_is_no_folder_is_no_tenant(stores: Stores, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a tenant"):
        stores.tenants.create(name)


def test_a_tenant_is_deleted_with_its_rows_and_files_and_no_other(stores: Stores, tmp_path: Path) -> None:
    for tenant in ("ants", "bees"):
        stores.tenants.create(tenant)
        stores.keys.create(tenant, "k", ALL_SCOPES)
        stores.of_tenant(tenant).datasets.files.folder.mkdir(parents=True)
    with pytest.raises(TenantExists):
        stores.tenants.create("ants")
    search_id, others = (queue_search(stores.of_tenant(tenant)) for tenant in ("ants", "bees"))
    with pytest.raises(TenantInUse, match="1 searches"):
        delete_tenant(stores, "ants")
    assert stores.of_tenant("ants").control.cancel(search_id).state == SearchState.CANCELLED
    assert delete_tenant(stores, "ants") == 1
    assert stores.tenants.ids() == ["bees", "default"]
    assert not stores.of_tenant("ants").datasets.files.folder.exists()
    assert stores.of_tenant("bees").datasets.files.folder.exists()
    with stores.database.read_scope() as session:
        assert session.scalars(select(Search.id)).all() == [others]
    with pytest.raises(TenantInUse):
        delete_tenant(stores, "default")
