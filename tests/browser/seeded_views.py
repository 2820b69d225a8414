"""A service with something in every view of the page: searches in all states, datasets, weights, devices, models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import httpx

from autonl_core.spec.weight_set import WeightProblem
from store.leases import Lease
from store.states import ExitClass
from store.stores import Stores
from tests.api.http_service import check_datasets, start
from tests.api.test_dataset_layouts import VARIANTS, archive, upload
from tests.autonl_core.device_tables import made_up_table
from tests.browser import full_results
from tests.browser.small_networks import random_network, recipe
from tests.store import sample_rows as samples
from tests.store.sample_epochs import gates_at, network, options_of, report
from tests.store.test_supernets import keep

# What a view has once its first answer has come; views of searches have the badge of a state.
MARKS = {
    "welcome": "h1",
    "datasets": "td a",
    "dataset ready": ".sheet img",
    "dataset built in": ".badge",
    "dataset ambiguous": ".readings button",
    "dataset broken": ".findings .badge",
    "dataset checking": ".badge.checking",
    "weights": "td",
    "devices": "td",
    "models": "td a",
    "model": "td button",
    "comparison": ".comparison.figures td",
    "missing search": "h1:has-text('There is no')",
    "missing page": "h1:has-text('There is no')",
}


@dataclass(frozen=True)
class Views:
    """The addresses of all views, after the `#`, by name; searches by state or by what they are an example of."""

    addresses: dict[str, str]
    searches: dict[str, str]


@dataclass(frozen=True)
class Service:
    """A served application with something in every view; `folder` is for files of tests."""

    url: str
    client: httpx.Client
    stores: Stores
    views: Views
    folder: Path


def seed(client: httpx.Client, stores: Stores, folder: Path) -> Views:
    """Fill a new service."""
    _datasets(client, stores)
    _weights(client, stores)
    client.post(
        "/devices", params={"name": "phone"}, json=made_up_table("tiny", 8).model_dump(mode="json")
    ).raise_for_status()
    searches = _ended(client, stores, folder) | _going_on(client, stores)
    for alias, note in (("prod", "the first"), ("prod", "again, with notes"), ("canary", "")):
        body = {"search_id": searches["succeeded"], "note": note}
        client.put(f"/models/digits/aliases/{alias}", json=body).raise_for_status()
    addresses = {
        "welcome": "/",
        "datasets": "/datasets",
        "dataset ready": "/datasets/trees",
        "dataset built in": "/datasets/digits",
        "dataset ambiguous": "/datasets/ambiguous",
        "dataset broken": "/datasets/broken",
        "dataset checking": "/datasets/checking",
        "weights": "/weights",
        "devices": "/devices",
        "models": "/models",
        "model": "/models/digits",
        "comparison": f"/compare/{searches['succeeded']},{searches['failed']},{searches['cancelled']}",
        "missing search": "/searches/0123456789abcdef",
        "missing page": "/nowhere",
    }
    return Views(addresses | {name: f"/searches/{search_id}" for name, search_id in searches.items()}, searches)


def claimed(client: httpx.Client, stores: Stores, **changes: object) -> Lease:
    """A new search that a worker has claimed."""
    search_id = start(client, **{"supernet": {"epochs": full_results.EPOCHS}, **changes})
    lease = samples.claim(stores)
    assert lease.search_id == search_id, "another search is due"
    return lease


def _datasets(client: httpx.Client, stores: Stores) -> None:
    folders = [f"{split}/{name}" for split in ("train", "test") for name in ("ash", "elm", "oak")]
    for name, content in (("trees", archive(folders)), ("ambiguous", archive(VARIANTS)), ("broken", archive(["a"]))):
        upload(client, name, content).raise_for_status()
    check_datasets(stores.settings)
    upload(client, "checking", archive(VARIANTS, 4)).raise_for_status()
    lease = stores.checks.claim("checker")
    assert lease is not None
    stores.checks.beat(lease, 0.4)
    states = {one["name"]: one["state"] for one in client.get("/datasets").json()["datasets"]}
    assert states == {
        "digits": "ready",
        "trees": "ready",
        "ambiguous": "invalid",
        "broken": "invalid",
        "checking": "checking",
    }


def _weights(client: httpx.Client, stores: Stores) -> None:
    client.post("/weights", params={"name": "bad"}, content=b"no weights").raise_for_status()
    lease = stores.weight_checks.claim("checker")
    assert lease is not None
    stores.weight_checks.refuse(lease, [WeightProblem("unreadable", "the file is no checkpoint")])
    client.post("/weights", params={"name": "new"}, content=b"not checked yet").raise_for_status()


def _ended(client: httpx.Client, stores: Stores, folder: Path) -> dict[str, str]:
    """Searches that have ended, by name."""
    searches = {"succeeded": _succeeded(client, stores, folder)}
    lease = claimed(client, stores)
    full_results.run(stores, lease)
    stores.claims.fail(lease, "DatasetError", "2 of 3 classes have too few images: add some, or leave the classes out")
    searches["failed"] = lease.search_id
    lease = claimed(client, stores)
    full_results.run(stores, lease)
    client.post(f"/searches/{lease.search_id}/cancel").raise_for_status()
    stores.claims.cancelled(lease)
    searches["cancelled"] = lease.search_id
    lease = claimed(client, stores)  # its architecture never moved
    report(stores, lease, [network(epoch, options_of(1), gates_at(1)) for epoch in (1, 2)])
    stores.claims.fail(lease, "Diverged", "the supernet's loss is not finite")
    searches["unmoved"] = lease.search_id
    searches["repeats"] = _several(client, stores, folder, repeat=3, seed=3)
    searches["budgets"] = _several(client, stores, folder, flops_budget=None, flops_budgets=["400k", "300k"])
    return searches


def _succeeded(client: httpx.Client, stores: Stores, folder: Path) -> str:
    """One within a latency, that crashed once, then went on and left all files."""
    lease = claimed(client, stores, constraints={"latency_ms": 0.3, "device": "phone"})
    full_results.run(stores, lease)
    stores.claims.crashed(lease, ExitClass.CRASHED, "the search process was killed by signal 9")
    samples.make_due(stores, lease.search_id)
    lease = samples.claim(stores)
    keep(stores, lease, folder)
    html = full_results.report_html()
    labels = json.dumps(full_results.doubtful_labels().to_json()).encode()
    contents = {
        "bundle": b"PK\x05\x06" + bytes(18),
        "safetensors": bytes(64_000),
        "onnx": random_network(recipe(32), [str(digit) for digit in range(10)]),
        "report-html": html,
        "report-md": b"# digits",
        "doubtful-labels": labels,
    }
    full_results.finish(stores, lease, folder, full_results.full_result(), contents)
    return lease.search_id


def _several(client: httpx.Client, stores: Stores, folder: Path, **changes: object) -> str:
    """Searches of one request, all finished; the id of the first."""
    body = {"dataset": "digits", "flops_budget": "400k"} | changes
    answer = client.post("/searches", json={name: value for name, value in body.items() if value is not None})
    assert answer.status_code == 202, answer.text
    first: str = answer.json()["id"]
    for number in range(8):
        lease = stores.claims.claim("worker-1")
        if lease is None:
            break
        if number == 0 and "flops_budgets" in changes:
            keep(stores, lease, folder)
        result = full_results.full_result(94.0 + number, seed=number)
        full_results.finish(stores, lease, folder, result, {"safetensors": bytes(64_000)})
    return first


def _going_on(client: httpx.Client, stores: Stores) -> dict[str, str]:
    """Searches that are not over, by state. The queued one waits for a GPU, so that no other claim gets it."""
    searches: dict[str, str] = {}
    for name, asked, answered in (
        ("running", None, False),
        ("starting", None, False),
        ("pausing", "pause", False),
        ("paused", "pause", True),
        ("cancelling", "cancel", False),
    ):
        lease = claimed(client, stores)
        searches[name] = lease.search_id
        if name == "starting":
            continue
        full_results.run(stores, lease)
        if asked:
            client.post(f"/searches/{lease.search_id}/{asked}").raise_for_status()
        if answered:
            stores.claims.gave_back(lease)
    return searches | {"queued": start(client, resource_class="gpu")}
