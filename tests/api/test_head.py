"""HEAD wherever GET is: the headers of GET without the body, also of a stream that does not end."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from store.stores import Stores
from tests.api.http_service import run_to_success, start
from tests.autonl_core.device_tables import made_up_table

NEW_IN_EACH_RESPONSE = {"date", "x-request-id"}


def compare(client: httpx.Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert head.content == b""
    assert head.status_code == got.status_code
    kept = [{k: v for k, v in answer.headers.items() if k not in NEW_IN_EACH_RESPONSE} for answer in (got, head)]
    assert kept[0] == kept[1], path


def test_every_path_that_has_get_has_head(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = start(client)
    run_to_success(stores, tmp_path, report="report")
    arch_id = client.get(f"/searches/{search_id}").json()["best"]["arch_id"]
    webhook_id = client.post("/webhooks", json={"url": "https://hooks.example/"}).json()["id"]
    delivery_id = client.post(f"/webhooks/{webhook_id}/test").json()["id"]
    client.post("/devices", params={"name": "digits"}, json=made_up_table("tiny", 8).model_dump(mode="json"))
    client.put("/models/products/aliases/prod", json={"search_id": search_id}).raise_for_status()
    values = {
        "webhook_id": webhook_id,
        "delivery_id": delivery_id,
        "search_id": search_id,
        "arch_id": arch_id,
        "model": "products",
        "alias": "prod",
        "name": "digits",
        "label": "0",
    }
    described = client.get("/openapi.json").json()["paths"]
    paths = [path.format_map(values) for path, operations in described.items() if "get" in operations]
    changing = {"/metrics", "/readyz"}  # count requests, or ask others
    for path in [*paths, "/", "/docs", "/static/js/main.js", "/static/swagger-ui/swagger-ui.css", "/nowhere"]:
        if path not in changing:
            compare(client, path)
    assert all(client.head(path).status_code == 200 for path in changing)


def test_the_head_of_a_stream_comes_at_once(client: httpx.Client) -> None:
    path = f"/searches/{start(client)}/events"  # the search stays queued, so its stream does not end
    began = time.monotonic()
    answer = client.head(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    assert client.get("/healthz").status_code == 200  # on the same connection
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["/searches", "/searches/none"])
def test_head_is_listed_as_allowed(client: httpx.Client, path: str) -> None:
    assert {"GET", "HEAD"} <= set(client.put(path).headers["Allow"].split(", "))


def test_head_where_there_is_no_get_is_refused(client: httpx.Client) -> None:
    assert client.head("/searches/none/cancel").status_code == 405
