"""`GET /baselines`: published networks, as they are and scaled to a budget."""

from __future__ import annotations

import httpx
import pytest

from autonl_core.arch_string import decode
from autonl_core.macs import count_macs, count_params
from autonl_core.zoo import ZOO


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
def test_what_makes_no_sense_is_refused_by_name(client: httpx.Client, name: str, value: str) -> None:
    answer = client.get("/baselines", params={name: value})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [name]
