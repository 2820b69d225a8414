"""Two tenants share a service: whatever one requests, it learns and changes nothing of the other."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from api.access import needs_of
from api.app import create_app
from store.keys import Scope
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import check_datasets, serving
from tests.api.tenants import Content, api_routes, device_table, fill, needs_a_key, new_key, pictures, signed_in

BODIES: dict[str, dict[str, Any]] = {
    "/searches": {"dataset": "digits", "flops_budget": "400k"},
    "/keys": {"name": "mine"},
    "/webhooks": {"url": "https://hooks.example/"},
    "/devices": device_table(),
    "/datasets/{name}/corrections": {"name": "better", "leave_out": ["cat/0.png"]},
    "/models/{model}/aliases/{alias}/rollback": {"number": 1},
}
QUERIES = {"/weights": {"name": "mine"}, "/datasets": {"name": "mine"}, "/devices": {"name": "mine"}}
COMPARISON = "/comparison"  # names searches in its query
NO_ID = "0123456789abcdef"
ABSENT = Content(NO_ID, NO_ID, "nothing", "0123456789ab", NO_ID, NO_ID, "no-model", "no-alias", marks=())
# Routes whose answers are about the caller or the process, not about rows.
WITHOUT_ROWS = {"/healthz", "/readyz", "/problems/{name}", "/search-spaces", "/baselines", "/session", "/", "/docs"}


@pytest.fixture
def locked(settings: Settings, stores: Stores) -> Iterator[httpx.Client]:
    """A client without a key of a service that needs one."""
    with serving(settings.model_copy(update={"require_keys": True})) as client:
        yield client


@pytest.fixture
def ants(locked: httpx.Client, stores: Stores) -> Iterator[httpx.Client]:
    with signed_in(locked, new_key(stores, "ants")) as client:
        yield client


@pytest.fixture
def bees(locked: httpx.Client, stores: Stores) -> Iterator[httpx.Client]:
    with signed_in(locked, new_key(stores, "bees")) as client:
        yield client


ROUTES = [(method, route) for route in api_routes(create_app(Settings())) for method in sorted(route.methods or ())]
NAMES = [f"{method} {route.path}" for method, route in ROUTES]


def requested(method: str, route: APIRoute, content: Content) -> httpx.Request:
    """A request of `route` about `content`. A route with a parameter that is not in here has to be added."""
    path = route.path.format(label=0, **vars(content))
    change = {"labels": {"team": "x"}} if "{search_id}" in route.path else {"active": False}
    put = {"search_id": content.search_id} if "{alias}" in route.path else {"layout": "auto"}
    bodies = {"POST": BODIES.get(route.path), "PUT": put, "PATCH": change}
    query: dict[str, Any] = QUERIES.get(route.path, {})
    if "{arch_id}" in route.path:
        query = {"search_id": content.search_id}
    elif route.path == COMPARISON:
        query = {"search_id": [content.search_id, NO_ID[::-1]]}
    return httpx.Request(
        method, f"http://service{path}", params=query, json=bodies.get(method), headers={"Accept": "application/json"}
    )


def ask(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    with contextlib.suppress(KeyError):
        del request.headers["host"]
    return client.request(
        request.method, request.url.raw_path.decode(), content=request.content, headers=request.headers
    )


def without_names(answer: httpx.Response, content: Content) -> tuple[int, str, list[str]]:
    """Status, body and header names, without what the request itself said and what every request gets."""
    body = answer.text
    for value in vars(content).values():
        body = body.replace(value, "ID") if isinstance(value, str) else body
    body = re.sub(r'"request_id":"[^"]*"', "", body)
    return answer.status_code, body, sorted(set(answer.headers) - {"content-length"})


def everything_of(client: httpx.Client, content: Content) -> dict[str, object]:
    """What a tenant reads of its own: nothing that another one requests may change it."""
    paths = (
        "/searches",
        f"/searches/{content.search_id}",
        f"/searches/{content.search_id}/events",
        f"/searches/{content.search_id}/report",
        f"/architectures/{content.arch_id}/checkpoint",
        f"/datasets/{content.name}",
        f"/datasets/{content.name}/sheets/0",
        f"/weights/{content.name}",
        f"/devices/{content.name}",
        f"/models/{content.model}",
        f"/models/{content.model}/aliases/{content.alias}/checkpoint",
        "/keys",
        f"/webhooks/{content.webhook_id}",
        f"/webhooks/{content.webhook_id}/deliveries/{content.delivery_id}",
    )
    found: dict[str, object] = {}
    for path in paths:
        answer = client.get(path, headers={"Accept": "application/json"})
        assert answer.status_code == 200, (path, answer.text)
        found[path] = json.loads(answer.text) if "json" in answer.headers["Content-Type"] else answer.content
    found["/keys"] = [key["id"] for key in found["/keys"]["keys"]]  # type: ignore[index]  # they note their last use
    return found


def test_what_another_tenant_has_is_to_a_tenant_as_if_it_did_not_exist(
    ants: httpx.Client, bees: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    theirs = fill(bees, stores, tmp_path)
    before = everything_of(bees, theirs)
    for method, route in ROUTES:
        about_theirs = ask(ants, requested(method, route, theirs))
        about_nothing = ask(ants, requested(method, route, ABSENT))
        if "{" in route.path or route.path == COMPARISON:
            assert without_names(about_theirs, theirs) == without_names(about_nothing, ABSENT), f"{method} {route.path}"
            if route.path not in WITHOUT_ROWS:
                assert about_theirs.status_code == 404, f"{method} {route.path}: {about_theirs.text}"
        sent = f"{about_theirs.request.url} {about_theirs.request.content.decode()}"
        for mark in theirs.marks:
            said = f"{about_theirs.text} {dict(about_theirs.headers)}"
            assert mark not in said or mark in sent, f"{method} {route.path} says {mark}: {said}"
    assert everything_of(bees, theirs) == before


def test_lists_counts_and_places_are_of_one_tenant(
    ants: httpx.Client, bees: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    fill(bees, stores, tmp_path)
    builtin = [dataset["name"] for dataset in ants.get("/datasets").json()["datasets"]]
    assert "honeycomb" not in builtin
    assert ants.get("/searches").json()["searches"] == []
    mine = ants.post("/searches", json=BODIES["/searches"]).json()
    assert mine["queue"]["position"] == 1  # though another tenant's search was there first
    assert [search["id"] for search in ants.get("/searches").json()["searches"]] == [mine["id"]]
    missing = ants.post("/searches", json=BODIES["/searches"] | {"dataset": "honeycomb", "init": "honeycomb"})
    assert missing.status_code == 422
    assert "the existing ones are: digits" in missing.text
    limit = {"constraints": {"latency_ms": 0.3, "device": "honeycomb"}}
    assert "no device 'honeycomb'; there is none yet" in ants.post("/searches", json=BODIES["/searches"] | limit).text
    parent = ants.post(
        "/searches", json=BODIES["/searches"] | {"parent": bees.get("/searches").json()["searches"][0]["id"]}
    )
    assert "no search" in parent.text


def test_a_first_answer_is_given_again_only_to_its_tenant_and_its_scope(
    ants: httpx.Client, bees: httpx.Client, locked: httpx.Client, stores: Stores
) -> None:
    asked = {"json": BODIES["/searches"], "headers": {"Idempotency-Key": "k"}}
    first = bees.post("/searches", **asked).json()["id"]  # type: ignore[arg-type]
    assert ants.post("/searches", **asked).json()["id"] != first  # type: ignore[arg-type]
    assert bees.post("/searches", **asked).json()["id"] == first  # type: ignore[arg-type]
    assert locked.post("/searches", **asked).status_code == 401  # type: ignore[arg-type]
    with signed_in(locked, new_key(stores, "bees", [Scope.READ])) as reader:
        assert reader.post("/searches", **asked).status_code == 403  # type: ignore[arg-type]


def test_a_page_token_of_another_tenant_opens_nothing(ants: httpx.Client, bees: httpx.Client) -> None:
    for _ in range(2):
        bees.post("/searches", json=BODIES["/searches"]).raise_for_status()
    token = bees.get("/searches", params={"page_size": 1}).json()["next_page_token"]
    assert ants.get("/searches", params={"page_token": token}).json()["searches"] == []


def test_the_same_archive_is_checked_for_each_tenant_and_deleted_for_each_alone(
    ants: httpx.Client, bees: httpx.Client, settings: Settings
) -> None:
    for tenant in (bees, ants):
        added = tenant.post("/datasets", params={"name": "same"}, content=pictures())
        assert added.status_code == 202  # 201 would say that someone has it already
        check_datasets(settings)
    again = ants.post("/datasets", params={"name": "again"}, content=pictures())
    assert again.status_code == 201
    bees.delete("/datasets/same").raise_for_status()
    assert ants.get("/datasets/same/sheets/0").status_code == 200
    found = list((settings.datasets_dir / "tenants").rglob("*.zip"))
    assert [path.parent.name for path in found] == ["ants"]


def test_an_id_of_another_tenant_is_refused_in_the_time_of_one_that_does_not_exist(
    ants: httpx.Client, bees: httpx.Client
) -> None:
    theirs = bees.post("/searches", json=BODIES["/searches"]).json()["id"]
    for _ in range(3):  # a machine that is busy with something else delays either
        seconds: dict[str, list[float]] = {theirs: [], ABSENT.search_id: []}
        for _ in range(60):
            for search_id, taken in seconds.items():
                started = time.perf_counter()
                assert ants.get(f"/searches/{search_id}").status_code == 404
                taken.append(time.perf_counter() - started)
        medians = [statistics.median(taken) for taken in seconds.values()]
        print(f"medians: {medians[0] * 1000:.2f} ms of another tenant's, {medians[1] * 1000:.2f} ms of none")
        if max(medians) < 1.15 * min(medians):
            return
    raise AssertionError(medians)


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=NAMES)
def test_every_route_states_whom_it_lets_in(method: str, route: APIRoute) -> None:
    is_open = getattr(route.endpoint, "autonl_open", False)
    assert needs_a_key(route) != is_open, "take the stores of a scope, or say `open_to_all`"


def test_a_key_is_let_in_by_its_scope(locked: httpx.Client, stores: Stores) -> None:
    for scope in Scope:
        with signed_in(locked, new_key(stores, "ants", [scope])) as client:
            for method, route in ROUTES:
                answer = ask(client, requested(method, route, ABSENT))
                needs = needs_of(route.dependant)
                is_lacking = needs is not None and (needs.scope != scope or needs.whole_service)
                label = f"{method} {route.path} with {scope}: {answer.text}"
                assert (answer.status_code == 403) == is_lacking, label
                if needs is not None and is_lacking and method != "HEAD":
                    assert answer.json()["scope"] == needs.scope
                assert answer.status_code < 500, label


def test_without_a_key_only_what_is_open_answers(locked: httpx.Client) -> None:
    for method, route in ROUTES:
        answer = ask(locked, requested(method, route, ABSENT))
        if needs_a_key(route):
            assert answer.status_code == 401, f"{method} {route.path}: {answer.text}"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        elif route.path != "/session":
            assert answer.status_code != 401


def test_a_rule_that_is_missing_is_recognised() -> None:
    (route,) = [route for _, route in ROUTES if route.path == "/healthz"]
    assert not needs_a_key(route)
    (route,) = [route for _, route in ROUTES if route.path == "/baselines"]
    assert needs_a_key(route)
    assert needs_of(route.dependant) is None
