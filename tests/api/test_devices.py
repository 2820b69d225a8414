"""Devices over HTTP: tables that are uploaded, shown and refused, and searches that limit latency on a device."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from autonl_core.spec.device_table import CalibrationNetwork, DeviceTable
from autonl_core.spec.result import LatencyCheck
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.api.http_service import SEARCH, refusal, start
from tests.autonl_core.device_tables import made_up_table
from tests.store import sample_rows as samples

TABLE, OTHER = made_up_table("tiny", 8), made_up_table("tiny", 8, scale=1.5)
LIMIT = {"latency_ms": 0.3, "device": "pixel"}


def add(client: httpx.Client, table: DeviceTable | dict[str, Any] = TABLE, name: str = "pixel") -> httpx.Response:
    body = table if isinstance(table, dict) else as_json(table)
    return client.post("/devices", params={"name": name}, json=body)


def as_json(table: DeviceTable) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(table.to_text())
    return content


def faults(answer: httpx.Response) -> dict[str, str]:
    return {error["pointer"]: error["detail"] for error in refusal(answer, 422, "invalid-request")["errors"]}


def plan(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/searches?validate_only=true", json=SEARCH | {"constraints": LIMIT} | changes)


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with contextlib.closing(open_stores(settings)) as opened:
        yield opened


def test_a_table_is_uploaded_shown_listed_and_deleted(client: httpx.Client) -> None:
    networks = [
        CalibrationNetwork(arch_string="in8", measured_ns=took, predicted_ns=190_000, held_out=took > 100_000)
        for took in (100_000, 200_000)
    ]
    calibration = TABLE.calibration.model_copy(update={"networks": tuple(networks)})
    measured = TABLE.model_copy(update={"calibration": calibration})
    added = add(client, measured)
    assert (added.status_code, added.headers["Location"]) == (201, "/devices/pixel")
    shown = client.get("/devices/pixel").json()
    assert shown == added.json()
    assert (shown["space"], shown["resolution"], shown["blocks"]) == ("tiny", 8, len(TABLE.blocks_ns))
    assert (shown["fastest_ms"], shown["slowest_ms"], shown["worst_error_pct"]) == (0.1, 0.2, 5.0)
    assert (shown["sha256"], shown["device"], shown["measured_on"]) == (
        measured.sha256,
        "test processor, 1 thread, onnxruntime 1.32.0",
        "2026-11-28",
    )
    assert DeviceTable.model_validate(shown["table"]) == measured
    assert client.get("/devices").json()["devices"] == [shown | {"table": None}]
    assert add(client, measured).status_code == 200
    refusal(add(client, OTHER), 409, "device-exists")
    assert client.delete("/devices/pixel").status_code == 204
    refusal(client.delete("/devices/pixel"), 404, "not-found")


def test_everything_that_is_wrong_with_a_table_is_said_at_once(client: httpx.Client) -> None:
    malformed = as_json(TABLE) | {"stem_ns": -1, "taste": "sweet", "ends_ns": {"0x1": {"10": 1.5}}}
    assert faults(add(client, malformed)).keys() == {
        "/stem_ns",
        "/taste",
        "/ends_ns/0x1/[key]",
        "/ends_ns/0x1/10",
    }
    lost, _ = dict(TABLE.blocks_ns).popitem()
    incomplete = as_json(TABLE)
    del incomplete["blocks_ns"][lost]
    incomplete["blocks_ns"]["3@8 strange"] = 5
    incomplete["ends_ns"] = {"7": {"10": 1, "20": 2}}
    found = faults(add(client, incomplete))
    assert found[f"/blocks_ns/{lost}"] == f"has no time of block {lost!r}"
    assert "which the space does not have" in found["/blocks_ns/3@8 strange"]
    assert "a head of 7 channels" in found["/ends_ns/7"]
    assert len(found) == 4  # also the head that is missing
    assert "is unknown; known are" in faults(add(client, as_json(TABLE) | {"space": "nowhere"}))["/space"]
    assert "does not serve 99 pixels" in faults(add(client, as_json(TABLE) | {"resolution": 99}))["/resolution"]
    no_time = as_json(TABLE) | {"calibration": {"overhead_ns": -1e9, "scale": 1.0, "networks": []}}
    assert faults(add(client, no_time))["/calibration/overhead_ns"] == "says that the fastest network takes no time"
    assert client.get("/devices").json() == {"devices": []}


def test_a_body_that_is_no_table_is_refused_whatever_its_size(client: httpx.Client) -> None:
    refusal(client.post("/devices?name=pixel", content=b"{"), 400, "malformed-request")
    for too_large in (b" " * (1 << 20) + b"{}", b"[" + b"0," * 20_001):
        answer = client.post("/devices?name=pixel", content=too_large, headers={"Content-Type": "application/json"})
        refusal(answer, 413, "payload-too-large")
    large = as_json(made_up_table("lite", 128))
    assert add(client, large, "lite").status_code == 201
    assert faults(client.post("/devices", params={"name": "a b"}, json=as_json(TABLE))).keys() == {"name"}


def test_a_search_limits_latency_on_a_device_and_keeps_to_its_table(client: httpx.Client, stores: Stores) -> None:
    add(client)
    planned = plan(client)
    assert (planned.status_code, planned.json()["search_space"], planned.json()["resolution"]) == (200, "tiny", 8)
    search_id = start(client, constraints=LIMIT)
    constraints = client.get(f"/searches/{search_id}").json()["config"]["constraints"]
    assert constraints["device_table_sha256"] == TABLE.sha256
    assert (constraints["latency_ms"], constraints["device"]) == (0.3, "pixel")
    client.delete("/devices/pixel").raise_for_status()
    assert stores.searches.config(stores.searches.get(search_id)).constraints.table == TABLE
    add(client, OTHER)
    again = faults(client.post("/searches", json=SEARCH | {"constraints": constraints}))
    assert f"configured for the device table {TABLE.sha256}" in again["/constraints/device"]


@pytest.mark.parametrize(
    ("constraints", "pointer", "said"),
    [
        (LIMIT | {"device": "phone"}, "device", "no device 'phone'; the existing ones are: pixel"),
        ({"latency_ms": 0.3}, "device", "is required with latency_ms"),
        ({"device": "pixel"}, "latency_ms", "is required with a device"),
        (LIMIT | {"latency_ms": 0.001}, "latency_ms", "ms by the device table of the fastest network of 'tiny' at 8"),
        (LIMIT | {"latency_ms": 0}, "latency_ms", "must be at least 0.001"),
    ],
)
def test_a_limit_that_cannot_be_met_is_refused_with_the_way_out(
    client: httpx.Client, constraints: dict[str, Any], pointer: str, said: str
) -> None:
    add(client)
    assert said in faults(plan(client, constraints=constraints))[f"/constraints/{pointer}"]


def test_a_table_of_another_space_or_resolution_is_refused_with_what_to_measure(client: httpx.Client) -> None:
    add(client)
    said = faults(plan(client, resolution=32, flops_budget="4M"))["/constraints/device"]
    assert "set resolution: 8 and search_space: tiny, or measure the device: autonl device measure --space" in said


def test_an_unknown_device_is_named_beside_whatever_else_is_wrong(client: httpx.Client) -> None:
    found = faults(plan(client, dataset="nothing", seed=-1))
    assert found.keys() == {"/dataset", "/seed", "/constraints/device"}


def test_the_result_says_what_was_predicted_and_measured(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    add(client)
    search_id = start(client, constraints=LIMIT)
    check = LatencyCheck(TABLE.device, TABLE.sha256, 0.3, 0.281, None, "it was exported on another machine (a CPU)")
    stores.claims.finish(samples.claim(stores), replace(samples.result(), latency_check=check), samples.FILES)
    assert client.get(f"/searches/{search_id}").json()["result"]["latency_check"] == vars(check)
