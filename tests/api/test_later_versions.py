"""While a service is upgraded, an API of this version reads what a later one stored: all, or it says to ask again."""

from __future__ import annotations

from dataclasses import replace

import httpx

from autonl_core.datasets.spec import BUILTIN
from autonl_core.spec.progress import Progress
from store.models import Dataset, Search
from store.stores import Stores
from store.tenant_rows import DEFAULT_TENANT
from tests.api.http_service import refusal, start
from tests.store.sample_rows import claim, register


def test_what_a_later_version_adds_to_progress_is_left_out(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    stores.updates.progress(claim(stores), Progress("training", 0.5))
    with stores.database.session_scope() as session:
        search = session.get_one(Search, search_id)
        search.progress = {**(search.progress or {}), "mood": "good"}
    assert client.get(f"/searches/{search_id}").json()["progress"]["fraction"] == 0.5
    assert client.get("/searches").json()["searches"][0]["id"] == search_id


def test_settings_that_are_not_known_are_shown_as_they_are(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    with stores.database.session_scope() as session:
        search = session.get_one(Search, search_id)
        search.config = {**search.config, "taste": "sweet"}
    assert client.get(f"/searches/{search_id}").status_code == 200


def test_a_dataset_with_more_to_it_is_left_to_another_replica(client: httpx.Client, stores: Stores) -> None:
    """A search that this version starts on it would lack what is not known here."""
    register(stores, replace(BUILTIN["digits"], name="pets", kind="folder", location="/pets"))
    with stores.database.session_scope() as session:
        row = session.get_one(Dataset, (DEFAULT_TENANT, "pets"))
        row.spec = {**row.spec, "smell": "strong"}
    answer = client.post("/searches", json={"dataset": "pets", "flops_budget": "400k"})
    problem = refusal(answer, 503, "unavailable")
    assert "fields that this one does not know: smell" in problem["detail"]
    assert answer.headers["Retry-After"] == "5"
