"""Searches side by side over HTTP: settings, figures, certainty, layers and classes, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from autonl_core.datasets.spec import DIGITS, DatasetSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.result import ClassResult, ResultFile, SearchResult
from autonl_core.spec.right_images import packed
from store.models import Search
from store.stores import Stores
from tests.api.http_service import refusal, start
from tests.store import sample_rows as samples

MACHINE = {"cpu": "quick", "threads": 2}


def scored(right: int, *, seed: int = 0, images: int = 100, only: int = 0) -> SearchResult:
    """A result that gets `right` of 100 images right, the first ones; of these, `only` moved to the end."""
    marks = [False] * only + [True] * (right - only) + [False] * (images - right)
    marks = marks[: images - only] + [True] * only
    classes = (ClassResult("0", 9, 60, sum(marks[:60]), 50), ClassResult("1", 9, images - 60, sum(marks[60:]), 50))
    return replace(
        samples.result(),
        architecture=samples.architecture(seed, test_top1_pct=100 * right / images, trained=True),
        test_correct=right,
        test_images=images,
        seconds_by_phase={"searching": 30.0, "training": 12.5},
        files={"onnx": ResultFile(Path("a.onnx"), "2" * 64, 12), "report-md": ResultFile(Path("a.md"), "3" * 64, 5)},
        latency_ms={"onnx": {"1": 0.5}},
        machine=MACHINE,
        classes=classes,
        test_right=packed(marks),
    )


def finished(client: httpx.Client, stores: Stores, result: SearchResult, **changes: Any) -> str:
    search_id = start(client, **changes)
    lease = samples.claim(stores)
    stores.usage.spent(lease, 60.0)
    stores.updates.architecture(lease, result.architecture)
    stores.claims.finish(lease, result, {})
    return search_id


def compared(client: httpx.Client, *search_ids: str) -> dict[str, Any]:
    answer = client.get("/comparison", params={"search_id": search_ids})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_two_results_are_compared_image_by_image(client: httpx.Client, stores: Stores) -> None:
    """Both get 78 of 100 images right, the first one 12 more, the second one 2 more."""
    one = finished(client, stores, scored(90), train={"epochs": 8}, labels={"team": "x"})
    other = finished(client, stores, scored(80, seed=1, only=2), train={"epochs": 20})
    found = compared(client, one, other)
    assert [search["search_id"] for search in found["searches"]] == [one, other]
    assert found["settings_that_differ"] == [{"path": "train.epochs", "values": [8, 20]}]
    first = found["searches"][0]
    architecture = scored(90).architecture
    assert (first["state"], first["labels"], first["macs"], first["params"], first["arch_id"]) == (
        "succeeded",
        {"team": "x"},
        architecture.macs,
        architecture.params,
        architecture.arch_id,
    )
    assert (first["test_top1_pct"], first["test_correct"], first["test_images"]) == (90.0, 90, 100)
    ends = [first["test_top1_low_pct"], first["test_top1_high_pct"]]
    assert ends == pytest.approx([82.56, 94.48], abs=0.01)  # Wilson
    assert (first["file_bytes"], first["latency_ms"]) == ({"onnx": 12}, {"onnx": {"1": 0.5}})
    assert (first["search_s"], first["compute_s"]) == (42.5, 60.0)
    assert (found["accuracies_comparable"], found["not_comparable"], found["latencies_comparable"]) == (True, [], True)
    (difference,) = found["accuracy_differences"]
    assert (difference["search_id"], difference["other_id"], difference["paired"]) == (one, other, True)
    assert difference["points"] == pytest.approx(10.0)
    assert difference["error_points"] == pytest.approx(100 * (0.13 / 99) ** 0.5)
    assert (difference["chance"], difference["may_be_chance"]) == (pytest.approx(212 / 2**14), False)


def test_networks_and_classes_stand_beside_each_other(client: httpx.Client, stores: Stores) -> None:
    one, other = finished(client, stores, scored(90)), finished(client, stores, scored(80, seed=1, only=2))
    waiting = start(client)
    found = compared(client, one, waiting, other)
    assert (found["layers"][0]["place"], found["layers"][-1]["place"]) == ("stem", "head")
    for search in (0, 2):
        present = [layers["layers"][search] for layers in found["layers"] if layers["layers"][search]]
        assert sum(layer["macs"] for layer in present) == found["searches"][search]["macs"]
    assert {layers["layers"][1] for layers in found["layers"]} == {None}
    assert {layers["equal"] for layers in found["layers"]} == {True, False}
    assert found["searches"][1]["test_top1_pct"] is None
    assert [each["name"] for each in found["classes"]] == ["0", "1"]
    assert found["classes"][1] == {
        "name": "1",
        "test_images": 40,
        "results": [{"correct": 30, "recall_pct": 75.0}, None, {"correct": 22, "recall_pct": 55.0}],
    }


def test_the_same_network_is_equal_everywhere(client: httpx.Client, stores: Stores) -> None:
    same = compared(client, *(finished(client, stores, scored(90)) for _ in range(2)))
    assert all(layers["equal"] for layers in same["layers"])
    (difference,) = same["accuracy_differences"]
    assert (difference["points"], difference["chance"], difference["may_be_chance"]) == (0.0, 1.0, True)


def test_without_the_single_images_errors_are_upper_limits(client: httpx.Client, stores: Stores) -> None:
    one = finished(client, stores, replace(scored(90), test_right=None))
    other = finished(client, stores, scored(80, only=2))
    (difference,) = compared(client, one, other)["accuracy_differences"]
    assert (difference["paired"], difference["may_be_chance"]) == (False, True)
    assert difference["error_points"] == pytest.approx(5.0)  # square root of (.9 * .1 + .8 * .2) / 100


def test_results_on_other_images_are_not_compared_and_it_says_so(client: httpx.Client, stores: Stores) -> None:
    one, other = (finished(client, stores, scored(right)) for right in (90, 80))
    with stores.database.session_scope() as session:  # as if the dataset had been replaced in between
        changed = replace(DatasetSpec.from_json(DIGITS.to_json()), fingerprint="another")
        session.get_one(Search, other).dataset_spec = changed.to_json()
    found = compared(client, one, other)
    assert (found["accuracies_comparable"], found["accuracy_differences"], found["classes"]) == (False, [], [])
    (said,) = found["not_comparable"]
    assert said.startswith(f"dataset digits had other content when {one} was started than when {other} was; ")
    assert said.endswith("their accuracies cannot be compared")
    assert found["layers"]  # networks can be compared all the same


def test_latencies_of_other_machines_are_not_comparable(client: httpx.Client, stores: Stores) -> None:
    one = finished(client, stores, scored(90))
    other = finished(client, stores, replace(scored(90), machine={"cpu": "slow", "threads": 2}))
    assert compared(client, one, other)["latencies_comparable"] is False


def test_searches_that_have_found_nothing_yet_are_compared_by_their_settings(client: httpx.Client) -> None:
    found = compared(client, start(client), start(client, seed=3))
    assert found["settings_that_differ"] == [{"path": "seed", "values": [0, 3]}]
    assert (found["layers"], found["accuracy_differences"], found["accuracies_comparable"]) == ([], [], False)
    assert [search["macs"] for search in found["searches"]] == [None, None]


def test_settings_that_a_configuration_leaves_out_have_their_defaults(client: httpx.Client) -> None:
    assert "precision" not in SearchConfig(dataset="digits", flops_budget=1).to_json()
    found = compared(client, start(client), start(client, precision="bf16"))
    assert found["settings_that_differ"] == [{"path": "precision", "values": ["tf32", "bf16"]}]


def test_two_to_five_searches_that_exist_are_compared_each_once(client: httpx.Client) -> None:
    search_id = start(client)
    for search_ids, said in (
        ([], "is required"),
        ([search_id], "names 1 search; name 2 to 5: search_id=A&search_id=B"),
        ([str(number) for number in range(6)], "names 6 searches; name 2 to 5: search_id=A&search_id=B"),
        ([search_id, search_id], f"names {search_id} twice; name each once"),
    ):
        problem = refusal(client.get("/comparison", params={"search_id": search_ids}), 422, "invalid-request")
        (error,) = problem["errors"]
        assert (error["source"], error["pointer"]) == ("query", "search_id")
        assert error["detail"] == said
    problem = refusal(client.get("/comparison", params={"search_id": [search_id, "beef"]}), 404, "not-found")
    assert problem["detail"] == "no search 'beef'; GET /searches lists them"
