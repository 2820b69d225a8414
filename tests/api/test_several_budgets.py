"""Several budgets over HTTP: one request, a search for each, and where they are found."""

from __future__ import annotations

import contextlib
from pathlib import Path

import httpx

from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import SEARCH, refusal
from tests.store.sample_rows import FILES, result
from tests.store.test_supernets import keep

BUDGETS = ["400k", "300k"]
BODY = {name: value for name, value in SEARCH.items() if name != "flops_budget"} | {"flops_budgets": BUDGETS}


def test_each_budget_has_a_search_once_the_shared_weights_have_learned(
    client: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    started = client.post("/searches", json=BODY)
    assert started.status_code == 202, started.text
    first = started.json()
    assert first["flops_budget"] == 400_000
    assert [(b["flops_budget"], b["search_id"], b["state"]) for b in first["budgets"]] == [
        (400_000, first["id"], "queued"),
        (300_000, None, None),
    ]
    with contextlib.closing(open_stores(settings)) as stores:
        lease = stores.claims.claim("worker")
        assert lease is not None
        keep(stores, lease, tmp_path)
        other_id = client.get(f"/searches/{first['id']}").json()["budgets"][1]["search_id"]
        other = client.get(f"/searches/{other_id}").json()
        assert (other["flops_budget"], other["config"]["parent"], other["state"]) == (300_000, first["id"], "queued")
        stores.claims.finish(lease, result(), FILES)
    shown, _ = client.get(f"/searches/{other_id}").json()["budgets"]
    assert (shown["state"], shown["macs"]) == ("succeeded", result().architecture.macs)
    assert {search["id"] for search in client.get("/searches").json()["searches"]} == {first["id"], other_id}


def test_a_search_for_one_budget_lists_none(client: httpx.Client) -> None:
    assert client.post("/searches", json=SEARCH).json()["budgets"] == []


def test_every_budget_that_no_network_fits_into_is_named(client: httpx.Client) -> None:
    problem = refusal(
        client.post("/searches", json=BODY | {"flops_budgets": ["400k", "1k", "300k", "9G"]}), 422, "budget-infeasible"
    )
    assert [field["pointer"] for field in problem["errors"]] == ["/flops_budgets/1", "/flops_budgets/3"]
    assert problem["feasible_range"]["min_macs"] > 1_000
    first = refusal(client.post("/searches", json=BODY | {"flops_budgets": ["1k", "400k"]}), 422, "budget-infeasible")
    assert [field["pointer"] for field in first["errors"]] == ["/flops_budgets/0"]


def test_what_contradicts_itself_is_refused(client: httpx.Client) -> None:
    problem = refusal(client.post("/searches", json=BODY | {"flops_budget": "300k"}), 422, "invalid-request")
    assert "is not the first of flops_budgets" in str(problem["errors"])
