"""A service with content, so that requests generated from its description also refer to what exists."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image
from safetensors.torch import save

from autonl_core.nn.network import build_network
from autonl_core.spec.doubtful_labels import DoubtfulLabels
from autonl_core.spec.zoo import ZOO
from store.states import SearchState, WeightSetState
from store.stores import Stores
from tests.api.http_service import check_datasets, check_weights, run_to_success, start
from tests.autonl_core.device_tables import made_up_table
from tests.store import sample_rows as samples

CONTROLS = ("cancel", "pause", "resume")
_FINISHED = 12
_KEPT = 4  # of them, so that whatever requests delete, every route has a row to respond from


@dataclass(frozen=True)
class Stock:
    """What exists: searches in every state, datasets, the architecture that has a checkpoint."""

    searches: list[str]
    finished: list[str]
    deleted: list[str]  # of these, those that requests delete: the others keep their files
    kept: list[str]  # of the others, those that succeeded
    controlled: dict[str, list[str]]  # searches that can be cancelled, paused or resumed, and some that have ended
    arch_id: str
    datasets: list[str]
    dataset_paths: list[str]
    kept_dataset: str  # never deleted by a request: it has contact sheets
    images: list[str]  # of the former
    deleted_datasets: list[str]  # in no other request, so that no search keeps them
    weights: list[str]
    key: str  # one that may sign in
    key_id: str  # another one, which may be revoked
    webhook_id: str  # never deleted by a request
    deleted_webhooks: list[str]
    delivery_id: str  # of the former
    models: list[str]
    aliases: list[str]  # of each model, rolled back or not
    devices: list[str]  # the first is never deleted by a request


def stock(client: httpx.Client, stores: Stores, folder: Path) -> Stock:
    """Fill a new service. Datasets may be registered from `folder`."""
    deleted_datasets = ["old", "older", "oldest"]
    paths = [str(_pictures(folder / name)) for name in ("shapes", "more", "kept", *deleted_datasets)]
    for name, path in (("shapes", paths[0]), *zip(("kept", *deleted_datasets), paths[2:], strict=True)):
        added = client.post("/datasets", json={"name": name, "path": path})
        assert added.status_code == 202, added.text
    check_datasets(stores.settings)
    assert client.get("/datasets/kept").json()["report"]["sheets"] == 2
    weights = _weights(client, stores)
    finished = []
    for number in range(_FINISHED):
        finished.append(start(client))
        if number % 2:
            run_to_success(stores, folder.parent, report="<!doctype html>", doubtful=DoubtfulLabels(1797, []))
        else:
            stores.claims.fail(samples.claim(stores), "DatasetError", "too few images")
    searches = [*_unfinished(client, stores), *finished[:2], start(client)]
    states = {client.get(f"/searches/{search_id}").json()["state"] for search_id in searches}
    assert states == set(SearchState)
    arch_id = samples.architecture().arch_id
    datasets, dataset_paths = ["digits", "shapes"], [*paths[:2], str(folder)]
    key, revoked = (client.post("/keys", json={"name": name}).json() for name in ("kept", "revoked"))
    return Stock(
        searches,
        finished,
        finished[:-_KEPT],
        finished[-_KEPT:][1::2],
        {name: [*_controlled(client, name), *finished[-_KEPT:]] for name in CONTROLS},
        arch_id,
        datasets,
        dataset_paths,
        "kept",
        ["dark/0.png", "light/1.png", "dark/2.png"],
        deleted_datasets,
        weights,
        key["key"],
        revoked["id"],
        *_webhooks(client, stores),
        *_models(client, finished[-_KEPT:][1::2]),
        _devices(client),
    )


def _controlled(client: httpx.Client, name: str) -> list[str]:
    """Searches that wait, or are paused for `resume`."""
    waiting = [start(client) for _ in range(_KEPT)]
    for search_id in waiting if name == "resume" else ():
        client.post(f"/searches/{search_id}/pause").raise_for_status()
    return waiting


def _models(client: httpx.Client, succeeded: list[str]) -> tuple[list[str], list[str]]:
    """Models, and their aliases, each of which was promoted several times, so that some rollbacks succeed."""
    models, aliases = ["products", "shoes"], ["prod", "canary", "old"]
    for model in models:
        for alias in aliases:
            for note in ("first", "second", "third"):
                body = {"search_id": succeeded[0], "note": note}
                client.put(f"/models/{model}/aliases/{alias}", json=body).raise_for_status()
    return models, aliases


def _webhooks(client: httpx.Client, stores: Stores) -> tuple[str, list[str], str]:
    """A webhook with a message that waits, some others, and that message."""
    body = {"url": "https://hooks.example/", "kinds": ["created"]}
    kept, *others = (client.post("/webhooks", json=body).json()["id"] for _ in range(4))
    start(client)
    while stores.webhook_feed.read():
        pass
    (delivery,) = client.get(f"/webhooks/{kept}/deliveries").json()["deliveries"]
    return kept, others, delivery["id"]


def _devices(client: httpx.Client) -> list[str]:
    names = ["kept", "old", "older", "oldest"]
    for name in names:
        body = made_up_table("tiny", 8).model_dump(mode="json")
        client.post("/devices", params={"name": name}, json=body).raise_for_status()
    return names


def _weights(client: httpx.Client, stores: Stores) -> list[str]:
    """An uploaded weight set in every state."""
    content = save(
        {name: value.contiguous() for name, value in build_network(ZOO["mobilenet_v2"].arch).state_dict().items()}
    )
    for name, arch in (("good", "mobilenet_v2"), ("bad", "autonl_s")):
        client.post("/weights", params={"name": name, "arch": arch}, content=content).raise_for_status()
    check_weights(stores.settings)
    client.post("/weights", params={"name": "new"}, content=content).raise_for_status()
    listed = {weights["name"]: weights["state"] for weights in client.get("/weights").json()["weights"]}
    assert {listed["good"], listed["bad"], listed["new"]} == set(WeightSetState)
    return ["good", "bad", "new"]


def _unfinished(client: httpx.Client, stores: Stores) -> list[str]:
    """A search in every non-final state except `queued`, and a cancelled one; all have been running."""
    found = []
    for asked, answered in (
        (None, False),
        ("pause", False),
        ("pause", True),
        ("cancel", False),
        ("cancel", True),
    ):
        found.append(start(client))
        lease = samples.claim(stores)
        stores.updates.metrics(lease, "searching", 1, {"loss": 1.5, "val_top1_pct": float("nan")})
        stores.updates.architecture(lease, samples.architecture(seed=1, val_top1_pct=50.0))
        if asked:
            client.post(f"/searches/{found[-1]}/{asked}").raise_for_status()
        if answered:
            end = stores.claims.cancelled if asked == "cancel" else stores.claims.gave_back
            end(lease)
    return found


def _pictures(folder: Path) -> Path:
    rng = random.Random(folder.name)
    for darkest, name in ((0, "dark"), (155, "light")):
        (folder / name).mkdir(parents=True)
        for number in range(5):
            pixels = bytes(rng.randrange(darkest, darkest + 100) for _ in range(12 * 10))
            Image.frombytes("L", (12, 10), pixels).save(folder / name / f"{number}.png")
    return folder
