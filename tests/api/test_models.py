"""Models over HTTP: promote, look, download, roll back, remove."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.settings import Settings
from store.stores import Stores, open_stores
from tests.api.http_service import CONTENT, refusal, run_to_success, start

PROD = "/models/products/aliases/prod"


@pytest.fixture
def workers(settings: Settings, client: httpx.Client) -> Iterator[Stores]:
    """The stores of workers of the service."""
    with contextlib.closing(open_stores(settings)) as opened:
        yield opened


def finished(client: httpx.Client, workers: Stores, folder: Path) -> str:
    search_id = start(client)
    run_to_success(workers, folder)
    return search_id


def promote(client: httpx.Client, search_id: str, path: str = PROD, **more: Any) -> httpx.Response:
    return client.put(path, json={"search_id": search_id, **more})


def test_an_alias_leads_to_the_file_that_it_stands_for(client: httpx.Client, workers: Stores, tmp_path: Path) -> None:
    search_id = finished(client, workers, tmp_path)
    made = promote(client, search_id, note="the first")
    assert (made.status_code, made.headers["Location"]) == (201, PROD)
    said = made.json()
    assert client.get(PROD).json() == said
    assert {
        name: said[name] for name in ("model", "alias", "number", "search_id", "note", "dataset", "is_current")
    } == {
        "model": "products",
        "alias": "prod",
        "number": 1,
        "search_id": search_id,
        "note": "the first",
        "dataset": "digits",
        "is_current": True,
    }
    assert (said["test_top1_pct"], said["restores"], said["key_id"]) == (98.0, None, None)
    file = client.get(said["links"]["checkpoint"])
    assert (file.status_code, file.content) == (200, CONTENT)
    assert client.get(said["links"]["checkpoint"], headers={"If-None-Match": file.headers["ETag"]}).status_code == 304
    part = client.get(said["links"]["checkpoint"], headers={"Range": "bytes=-3"})
    assert (part.status_code, part.content) == (206, CONTENT[-3:])
    assert client.head(said["links"]["checkpoint"]).headers["ETag"] == file.headers["ETag"]


def test_the_same_again_is_200_and_nothing_new(client: httpx.Client, workers: Stores, tmp_path: Path) -> None:
    search_id = finished(client, workers, tmp_path)
    first, again = promote(client, search_id), promote(client, search_id)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(client.get("/models/products").json()["history"]) == 1


def test_a_rollback_and_the_history(client: httpx.Client, workers: Stores, tmp_path: Path) -> None:
    old, new = finished(client, workers, tmp_path), finished(client, workers, tmp_path)
    assert "rollback" not in promote(client, old).json()["links"]
    assert promote(client, new).json()["links"]["rollback"] == f"{PROD}/rollback"
    back = client.post(f"{PROD}/rollback", json={"number": 2, "note": "slow"})
    assert (back.status_code, back.json()["search_id"], back.json()["restores"]) == (200, old, 1)
    problem = refusal(client.post(f"{PROD}/rollback", json={"number": 2}), 409, "cannot-roll-back")
    assert problem["detail"].startswith("promotion 3 of products@prod is the current one, not 2")
    model = client.get("/models/products").json()
    assert [one["number"] for one in model["history"]] == [3, 2, 1]
    assert [one["number"] for one in model["aliases"]] == [3]
    assert "checkpoint" not in model["history"][1]["links"]
    assert client.get("/models").json() == {"models": [{"name": "products", "aliases": model["aliases"]}]}


def test_models_are_listed_with_all_their_aliases(client: httpx.Client, workers: Stores, tmp_path: Path) -> None:
    assert client.get("/models").json() == {"models": []}
    search_id = finished(client, workers, tmp_path)
    for path in ("/models/shoes/aliases/prod", PROD, "/models/products/aliases/canary"):
        assert promote(client, search_id, path).status_code == 201
    listed = client.get("/models").json()["models"]
    assert [(model["name"], [one["alias"] for one in model["aliases"]]) for model in listed] == [
        ("products", ["canary", "prod"]),
        ("shoes", ["prod"]),
    ]
    assert client.delete(PROD).status_code == 204
    refusal(client.get(PROD), 404, "not-found")
    assert [one["alias"] for one in client.get("/models/products").json()["aliases"]] == ["canary"]


def test_what_an_alias_stands_for_is_not_deleted(client: httpx.Client, workers: Stores, tmp_path: Path) -> None:
    search_id = finished(client, workers, tmp_path)
    promote(client, search_id)
    problem = refusal(client.delete(f"/searches/{search_id}"), 409, "state-conflict")
    assert "products@prod stands for search" in problem["detail"]
    client.delete(PROD)
    assert client.delete(f"/searches/{search_id}").status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "status", "name"),
    [
        (PROD, {"search_id": "0000000000000000"}, 404, "not-found"),
        (PROD, {}, 422, "invalid-request"),
        (PROD, {"search_id": "x", "note": "n" * 1001}, 422, "invalid-request"),
        ("/models/our products/aliases/prod", {"search_id": "x"}, 422, "invalid-request"),
        ("/models/products/aliases/prod@home", {"search_id": "x"}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_promoted(client: httpx.Client, path: str, body: dict[str, Any], status: int, name: str) -> None:
    refusal(client.put(path, json=body), status, name)


def test_a_search_that_has_not_ended_cannot_be_promoted(client: httpx.Client) -> None:
    problem = refusal(promote(client, start(client)), 409, "state-conflict")
    assert problem["detail"].endswith("is queued; only a search that has succeeded can be promoted")
    assert problem["state"] == "queued"
