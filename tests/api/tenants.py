"""Tenants of a served application, with keys, and content of one of them that the others must not notice."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from PIL import Image
from starlette.routing import BaseRoute

from api.access import caller_of
from autonl_core.spec.zoo import ZOO
from store.keys import ALL_SCOPES, Scope
from store.stores import Stores
from tests.api.http_service import WITHOUT_TLS, check_datasets, check_weights, run_to_success, start
from tests.autonl_core.device_tables import made_up_table
from tests.store import sample_rows as samples


def new_key(stores: Stores, tenant_id: str, scopes: Collection[Scope] = ALL_SCOPES) -> str:
    """A key of a tenant, which is created if need be."""
    if tenant_id not in stores.tenants.ids():
        stores.tenants.create(tenant_id)
    return stores.keys.create(tenant_id, "a key", scopes)[1]


@contextmanager
def signed_in(client: httpx.Client, key: str) -> Iterator[httpx.Client]:
    """Another client of the same service, which sends `key`."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=client.base_url, headers=headers, timeout=20, verify=WITHOUT_TLS) as own:
        yield own


def api_routes(app: FastAPI) -> list[APIRoute]:
    """The routes of an application, also of the routers that it includes."""
    routes = [*app.routes, *(route for router in app.routes for route in _included(router))]
    return [route for route in routes if isinstance(route, APIRoute)]


def _included(router: BaseRoute) -> list[BaseRoute]:
    original = getattr(router, "original_router", None)
    return list(original.routes) if isinstance(original, APIRouter) else []


def needs_a_key(route: APIRoute) -> bool:
    return caller_of in _calls(route.dependant)


def _calls(dependant: Dependant) -> list[object]:
    return [dependant.call, *(call for part in dependant.dependencies for call in _calls(part))]


@dataclass(frozen=True)
class Content:
    """What a tenant has: the values of path parameters that name it, and words that appear in its answers only."""

    search_id: str
    arch_id: str
    name: str  # of a dataset, of a weight set and of a device
    key_id: str
    webhook_id: str
    delivery_id: str
    model: str
    alias: str
    marks: tuple[str, ...]


def pictures() -> bytes:
    """An archive of two classes."""
    rng, archive = random.Random(7), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for darkest, label in ((0, "dark"), (155, "light")):
            for number in range(5):
                pixels = bytes(rng.randrange(darkest, darkest + 100) for _ in range(120))
                image = io.BytesIO()
                Image.frombytes("L", (12, 10), pixels).save(image, "png")
                writer.writestr(zipfile.ZipInfo(f"{label}/{number}.png"), image.getvalue())
    return archive.getvalue()


def weights() -> bytes:
    from safetensors.torch import save

    from autonl_core.nn.network import build_network

    network = build_network(ZOO["mobilenet_v2"].arch)
    return save({name: value.contiguous() for name, value in network.state_dict().items()})


def device_table(scale: float = 1.25) -> dict[str, Any]:
    return made_up_table("tiny", 8, scale).model_dump(mode="json")


def fill(client: httpx.Client, stores: Stores, folder: Path) -> Content:
    """Give the tenant of `client` something of every kind; `stores` are those of workers."""
    name = "honeycomb"
    client.post("/datasets", params={"name": name}, content=pictures()).raise_for_status()
    client.post("/weights", params={"name": name, "arch": "mobilenet_v2"}, content=weights()).raise_for_status()
    client.post("/devices", params={"name": name}, json=device_table(scale=1.5)).raise_for_status()
    check_datasets(stores.settings)
    check_weights(stores.settings)
    search_id = start(client, card={"authors": ["Queen"]})
    run_to_success(stores, folder, report="<!doctype html>of honey")
    model, alias = "comb", "winter"
    client.put(f"/models/{model}/aliases/{alias}", json={"search_id": search_id, "note": "full"}).raise_for_status()
    waiting = start(client, dataset=name, search_space="tiny", flops_budget="400k", resolution=8)
    hook = client.post("/webhooks", json={"url": "https://hooks.example/honey"}).json()
    delivery = client.post(f"/webhooks/{hook['id']}/test").json()
    (key,) = client.get("/keys").json()["keys"]
    sha256 = client.get(f"/datasets/{name}").json()["sha256"]
    ids = (key["id"], hook["id"], delivery["id"])
    marks = (
        search_id,
        waiting,
        name,
        model,
        alias,
        *ids,
        hook["secret"],
        "hooks.example/honey",
        sha256,
        "Queen",
        "of honey",
    )
    return Content(search_id, samples.architecture().arch_id, name, *ids, model, alias, marks)
