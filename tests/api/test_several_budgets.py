"""Several budgets over HTTP: one request, a search for each, and where they are found."""

from __future__ import annotations

import contextlib
from pathlib import Path

import httpx
import pytest

from autonl_core.errors import WeightSetError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.search_space import SearchSpace
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


def test_a_first_budget_of_the_wrong_type_is_reported_where_it_was_written_and_only_there(client: httpx.Client) -> None:
    wrong = refusal(client.post("/searches", json=BODY | {"flops_budgets": [48.0, "300k"]}), 422, "invalid-request")
    assert {field["pointer"] for field in wrong["errors"]} == {"/flops_budgets/0"}
    none = refusal(client.post("/searches", json=BODY | {"flops_budgets": [], "seed": -1}), 422, "invalid-request")
    assert {field["pointer"] for field in none["errors"]} == {"/flops_budget", "/seed"}


def test_what_contradicts_itself_is_refused(client: httpx.Client) -> None:
    problem = refusal(client.post("/searches", json=BODY | {"flops_budget": "300k"}), 422, "invalid-request")
    assert "is not the first of flops_budgets" in str(problem["errors"])


def test_a_contradiction_beside_a_field_of_the_wrong_type_is_listed_with_it(client: httpx.Client) -> None:
    problem = refusal(
        client.post("/searches", json=BODY | {"flops_budget": "300k", "seed": "x"}), 422, "invalid-request"
    )
    assert "/seed" in {field["pointer"] for field in problem["errors"]}
    assert "is not the first of flops_budgets" in str(problem["errors"])


def test_a_baseline_that_one_of_the_budgets_cannot_have_is_refused_at_once(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after the training of the search for that budget."""

    def check(name: str, config: SearchConfig, space: SearchSpace) -> None:
        if config.flops_budget == 300_000:
            raise WeightSetError(f"{name} does not fit into {config.flops_budget}")

    monkeypatch.setattr("api.search_validation.check_baseline", check)
    asked = BODY | {"baselines": ["mobilenet_v2"]}
    (field,) = refusal(client.post("/searches", json=asked), 422, "invalid-request")["errors"]
    assert (field["pointer"], field["detail"]) == ("/baselines/0", "mobilenet_v2 does not fit into 300000")
