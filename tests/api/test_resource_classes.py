"""Resource classes as clients meet them: which are accepted, and what a search says that waits for its worker."""

from __future__ import annotations

import httpx
import pytest

from api.service_metrics import service_metrics
from store.stores import Stores
from store.turns import SERVED_BY_GPU

SEARCH = {"dataset": "digits", "flops_budget": 400_000}


def test_a_search_for_a_gpu_says_what_it_waits_for(client: httpx.Client, stores: Stores) -> None:
    created = client.post("/searches", json=SEARCH | {"resource_class": "gpu"})
    assert created.status_code == 202, created.text
    shown = client.get(created.headers["Location"]).json()
    assert shown["config"]["resource_class"] == "gpu"
    assert (
        "as soon as a worker with a GPU is free; if this lasts, check that one is running" in shown["queue"]["unknown"]
    )
    assert stores.claims.claim("without-gpu") is None
    assert b'autonl_queued_searches{resource_class="gpu"} 1.0' in service_metrics(stores)
    lease = stores.claims.claim("with-gpu", SERVED_BY_GPU)
    assert lease is not None
    assert lease.search_id == shown["id"]


def test_repeats_have_the_class_of_their_search(client: httpx.Client, stores: Stores) -> None:
    assert client.post("/searches", json=SEARCH | {"resource_class": "cpu", "repeat": 2}).status_code == 202
    assert stores.searches.queued_by_class() == {"any": 0, "cpu": 2, "gpu": 0}


@pytest.mark.parametrize("value", ["tpu", "GPU", None, 1, ["gpu"]])
def test_other_classes_are_refused(client: httpx.Client, value: object) -> None:
    refused = client.post("/searches", json=SEARCH | {"resource_class": value})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/resource_class"
    assert "'any', 'cpu' or 'gpu'" in error["detail"]
