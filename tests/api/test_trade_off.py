"""The trade-off over HTTP: what was measured, what was delivered, and the front, worked by hand."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import httpx

from autonl_core.spec.measured_network import MeasuredNetwork
from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import SEARCH, refusal, start
from tests.store.sample_rows import FILES, result
from tests.store.test_supernets import keep


def measured(macs: int, val_top1_pct: float, *, chosen: bool = False) -> MeasuredNetwork:
    return MeasuredNetwork(f"network of {macs}", macs, 10, 20, "drawn", val_top1_pct, chosen=chosen)


SMALLER = (measured(280_000, 60.0), measured(290_000, 70.0, chosen=True), measured(295_000, 65.0))
LARGER = (measured(390_000, 69.0), measured(395_000, 80.0), measured(400_000, 75.0, chosen=True))


def test_networks_of_all_budgets_are_on_one_front(client: httpx.Client, settings: Settings, tmp_path: Path) -> None:
    body = {name: value for name, value in SEARCH.items() if name != "flops_budget"}
    first = client.post("/searches", json=body | {"flops_budgets": ["400k", "300k"]}).json()
    assert client.get(first["links"]["trade-off"]).json()["networks"] == []
    with contextlib.closing(open_stores(settings)) as stores:
        for networks in (LARGER, SMALLER):
            lease = stores.claims.claim("worker")
            assert lease is not None
            if networks is LARGER:
                keep(stores, lease, tmp_path)
            stores.claims.finish(lease, replace(result(), networks=networks), FILES if networks is LARGER else {})
    found = client.get(first["links"]["trade-off"]).json()
    assert [network["macs"] for network in found["networks"]] == [280_000, 290_000, 295_000, 390_000, 395_000, 400_000]
    assert [network["macs"] for network in found["networks"] if network["on_front"]] == [280_000, 290_000, 395_000]
    delivered = [network for network in found["networks"] if network["chosen"]]
    assert [network["test_top1_pct"] for network in delivered] == [98.0, 98.0]
    assert {network["test_top1_pct"] for network in found["networks"] if not network["chosen"]} == {None}
    assert len({network["search_id"] for network in found["networks"]}) == 2
    other = next(one["search_id"] for one in found["networks"] if one["search_id"] != first["id"])
    assert client.get(f"/searches/{other}/trade-off").json() == found
    assert "networks" not in client.get(f"/searches/{first['id']}").json()["result"]


def test_results_of_earlier_versions_have_none(client: httpx.Client, settings: Settings) -> None:
    search_id = start(client)
    with contextlib.closing(open_stores(settings)) as stores:
        lease = stores.claims.claim("worker")
        assert lease is not None
        stores.claims.finish(lease, result(), FILES)
    assert client.get(f"/searches/{search_id}/trade-off").json()["networks"] == []


def test_there_is_none_of_a_search_that_does_not_exist(client: httpx.Client) -> None:
    refusal(client.get("/searches/0000000000000000/trade-off"), 404, "not-found")
