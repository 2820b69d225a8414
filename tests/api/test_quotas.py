"""Quotas as clients meet them: refusals that name value, limit and way out; usage; streams; resuming with more."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import serving
from tests.servers import wait_for
from tests.store.sample_rows import FILES, claim, result

SEARCH = {"dataset": "digits", "flops_budget": 400_000}
JSON = {"Content-Type": "application/json"}


def test_a_search_beyond_the_quota_is_refused_with_when_to_ask_again(client: httpx.Client, stores: Stores) -> None:
    stores.quotas.set_limits("default", {"queued": 1})
    assert client.post("/searches", json=SEARCH).status_code == 202
    refused = client.post("/searches", json=SEARCH)
    problem = refused.json()
    assert (refused.status_code, problem["type"]) == (429, "/problems/quota-exceeded")
    assert (problem["quota"], problem["value"], problem["limit"]) == ("queued", 2, 1)
    assert int(refused.headers["Retry-After"]) > 0
    assert "cancel some" in problem["detail"]
    assert len(client.get("/searches").json()["searches"]) == 1


def test_a_priority_that_is_not_allowed_is_forbidden(client: httpx.Client, stores: Stores) -> None:
    stores.quotas.set_limits("default", {"priority": 0})
    refused = client.post("/searches", json=SEARCH | {"priority": 1})
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/quota-forbids")
    assert "Retry-After" not in refused.headers
    assert client.post("/searches", json=SEARCH | {"priority": 6}).status_code == 422
    assert client.post("/searches", json=SEARCH | {"priority": -5}).status_code == 202


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path", ["/datasets?name=photos", "/weights?name=mine"])
def test_an_upload_beyond_the_quota_leaves_nothing(
    client: httpx.Client, stores: Stores, settings: Settings, path: str, announced: bool
) -> None:
    stores.quotas.set_limits("default", {"stored_bytes": 100})
    content = b"PK\x03\x04" + bytes(197)
    headers = {"Content-Type": "application/zip" if "photos" in path else "application/octet-stream"}
    body = content if announced else iter([content])
    refused = client.post(path, content=body, headers=headers)
    problem = refused.json()
    assert (refused.status_code, problem["type"]) == (403, "/problems/quota-forbids")
    assert (problem["quota"], problem["value"], problem["limit"]) == ("stored_bytes", 201, 100)
    kept = [file for file in settings.data_dir.rglob("*") if file.is_file() and file.stat().st_size == 201]
    assert kept == []
    assert stores.quotas.now()["stored_bytes"] == 0


def test_event_streams_are_limited_and_a_closed_one_makes_room(client: httpx.Client, stores: Stores) -> None:
    stores.quotas.set_limits("default", {"event_streams": 2})
    events = client.post("/searches", json=SEARCH).json()["links"]["events"]
    with client.stream("GET", events) as first, client.stream("GET", events) as second:
        assert (first.status_code, second.status_code) == (200, 200)
        wait_for(lambda: client.get("/usage").json()["now"]["event_streams"] == 2, "both are open")
        refused = client.get(events)
        assert (refused.status_code, refused.json()["quota"], refused.headers["Retry-After"]) == (
            429,
            "event_streams",
            "15",
        )
        assert client.get(events, headers={"Accept": "application/json"}).status_code == 200
    wait_for(lambda: client.get("/usage").json()["now"]["event_streams"] == 0, "both are closed")


def test_usage_has_days_what_is_in_use_and_limits(client: httpx.Client, stores: Stores) -> None:
    stores.quotas.set_limits("default", {"running": 3})
    client.post("/searches", json=SEARCH)
    lease = claim(stores)
    stores.usage.spent(lease, 12.5)
    stores.claims.finish(lease, result(), FILES)
    client.post("/searches", json=SEARCH)
    usage = client.get("/usage").json()
    today, added = stores.usage.today(), sum(file.size_bytes for file in FILES.values())
    used = {"compute_s": 12.5, "searches": 2, "added_bytes": added}
    assert usage["days"] == [used | {"day": today.isoformat()}]
    assert usage["total"] == used
    assert usage["now"] == {"queued": 1, "running": 0, "stored_bytes": added, "event_streams": 0}
    assert (usage["limits"]["running"], usage["limits"]["queued"]) == (3, 0)
    yesterday = today - timedelta(days=1)
    assert client.get(f"/usage?from={yesterday}&to={yesterday}").json()["days"] == []


@pytest.mark.parametrize("query", ["from=2026-02-02&to=2026-02-01", "from=2020-01-01&to=2026-01-01", "from=soon"])
def test_a_period_that_is_none_is_refused(client: httpx.Client, query: str) -> None:
    refused = client.get(f"/usage?{query}")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "from")


def test_a_spent_search_is_resumed_with_more_compute(client: httpx.Client, stores: Stores) -> None:
    search = client.post("/searches", json=SEARCH | {"max_compute_s": 10}).json()
    lease = claim(stores)
    stores.usage.spent(lease, 10.25)
    stores.claims.spent(lease, "it has used what it may use")
    spent = client.get(search["links"]["self"]).json()
    assert (spent["state"], spent["stop_reason"]) == ("cancelled", "budget_spent")
    assert spent["attempts"][0]["compute_s"] == 10.25
    resume = search["links"]["self"] + "/resume"
    for refused in (client.post(resume, headers=JSON), client.post(resume, json={"max_compute_s": 10})):
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/compute-spent")
    assert client.post(resume, json={"max_compute_s": -1}).status_code == 422
    resumed = client.post(resume, json={"max_compute_s": 20})
    assert (resumed.status_code, resumed.json()["state"]) == (202, "queued")
    assert resumed.json()["config"]["max_compute_s"] == 20


def test_settings_give_every_tenant_its_limits(settings: Settings) -> None:
    with serving(settings.model_copy(update={"quota_queued": 1})) as client:
        assert client.post("/searches", json=SEARCH).status_code == 202
        assert client.post("/searches", json=SEARCH).json()["quota"] == "queued"
