"""Published networks: as published, scaled to a budget, and requested as baselines of a search."""

from __future__ import annotations

import httpx
import pytest

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.zoo import ZOO
from store.stores import Stores
from tests.api.http_service import SEARCH, refusal, start
from tests.store.sample_rows import register


def test_all_networks_are_listed_with_published_figures_and_ours(client: httpx.Client) -> None:
    answer = client.get("/baselines")
    assert answer.status_code == 200
    baselines = answer.json()["baselines"]
    assert [net["name"] for net in baselines] == list(ZOO)
    small = baselines[0]
    assert (small["macs"], small["params"]) == (266_878_784, 4_389_350)
    assert (small["published_macs"], small["published_params"], small["published_top1_pct"]) == (267e6, 4.4e6, 76.5)
    assert "arXiv:2004.01961" in small["source"]
    assert "multiply-adds" in answer.json()["macs_counting_rule"]


@pytest.mark.parametrize("budget", ["4500000", "4.5M"])
def test_they_scale_to_a_budget_at_any_input_and_class_count(client: httpx.Client, budget: str) -> None:
    asked: dict[str, str | int] = {"flops_budget": budget, "resolution": 32, "num_classes": 10}
    for net in client.get("/baselines", params=asked).json()["baselines"]:
        arch = decode(net["arch_string"])
        assert (arch.resolution, arch.num_classes) == (32, 10)
        assert (net["macs"], net["params"]) == (count_macs(arch).total, count_params(arch))
        assert abs(net["macs"] - 4_500_000) <= 0.03 * 4_500_000


def test_out_of_reach_is_null(client: httpx.Client) -> None:
    for net in client.get("/baselines", params={"flops_budget": 1000}).json()["baselines"]:
        assert (net["arch_string"], net["macs"], net["params"]) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flops_budget", "lots"),
        ("flops_budget", "0"),
        ("resolution", "3"),
        ("resolution", "999"),
        ("num_classes", "1"),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(client: httpx.Client, name: str, value: str) -> None:
    answer = client.get("/baselines", params={name: value})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [name]


def test_a_search_that_wants_them_keeps_their_names(client: httpx.Client) -> None:
    search_id = start(client, baselines=["mobilenet_v2", "fbnet_c"])
    assert client.get(f"/searches/{search_id}").json()["config"]["baselines"] == ["mobilenet_v2", "fbnet_c"]


@pytest.mark.parametrize("asked", ["mobilenet_v2", ["alexnet"], ["fbnet_c", "fbnet_c"], [None], {}])
def test_anything_but_a_list_of_different_networks_is_refused(client: httpx.Client, asked: object) -> None:
    problem = refusal(client.post("/searches", json=SEARCH | {"baselines": asked}), 422, "invalid-request")
    assert {error["pointer"].split("/")[1] for error in problem["errors"]} == {"baselines"}


def test_a_baseline_that_no_width_brings_to_the_budget_is_named_by_its_index(
    client: httpx.Client, stores: Stores
) -> None:
    classes = tuple(map(str, range(1000)))  # the last layer of the published ones alone costs 1280 MACs a class
    register(stores, DatasetSpec("thousand", "zip", "/thousand.zip", classes, 8, 5000, 1000, "0" * 32))
    asked = {"dataset": "thousand", "flops_budget": 500_000}
    start(client, **asked)
    wanted = ["mobilenet_v3_large", "mobilenet_v2"]
    problem = refusal(client.post("/searches", json=asked | {"baselines": wanted, "seed": -1}), 422, "invalid-request")
    found = {error["pointer"]: error for error in problem["errors"]}
    assert found.keys() == {"/seed", "/baselines/0", "/baselines/1"}
    assert found["/baselines/1"]["code"] == "not_scalable"
    assert "leave it out" in found["/baselines/1"]["detail"]


@pytest.mark.parametrize("init", [{}, {"init": "none"}, {"init": "auto"}])
def test_rivals_are_refused_by_their_index_where_a_search_starts_at_random(
    client: httpx.Client, init: dict[str, str]
) -> None:
    asked = SEARCH | init | {"baselines": ["mobilenet_v2", "off-the-shelf", "uniform"]}
    problem = refusal(client.post("/searches", json=asked), 422, "invalid-request")
    found = {error["pointer"]: error for error in problem["errors"]}
    assert found.keys() == {"/baselines/1", "/baselines/2"}
    assert {error["code"] for error in found.values()} == {"needs_weights"}
    assert "'uniform' comes from pretrained weights" in found["/baselines/2"]["detail"]
    assert "leave it out of `baselines`" in found["/baselines/2"]["detail"]


def test_rivals_are_accepted_where_auto_finds_pretrained_weights(client: httpx.Client, stores: Stores) -> None:
    register(stores, DatasetSpec("photos", "zip", "/photos.zip", ("cat", "dog"), 200, 500, 100, "1" * 32))
    asked = {"dataset": "photos", "flops_budget": "40M", "baselines": ["off-the-shelf", "uniform"]}
    config = client.get(f"/searches/{start(client, **asked)}").json()["config"]
    assert (config["init"], config["baselines"]) == ("efficientnet-lite0", ["off-the-shelf", "uniform"])


def test_a_rival_is_no_architecture_of_weights(client: httpx.Client) -> None:
    answer = client.post("/weights", params={"name": "mine", "arch": "uniform"}, content=b"x")
    assert answer.status_code == 422
