"""Several budgets in one request: what is accepted, and what the search for each of them is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from autonl_core.datasets.spec import DIGITS
from autonl_core.run.pace import WorkPlan
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import SupernetConfig
from autonl_core.spec.recipe import settle
from autonl_core.spec.search_request import SearchRequest
from autonl_core.spec.several_budgets import first_of, for_budget
from autonl_core.spec.space_families import SPACES

THREE = ["2.5M", "4.5M", "9M"]


def asked(**fields: Any) -> SearchRequest:
    return SearchRequest.model_validate({"dataset": "digits", **fields})


def test_the_first_budget_is_the_one_that_the_search_itself_is_for() -> None:
    request = asked(flops_budgets=THREE)
    assert (request.flops_budget, request.other_budgets) == (2_500_000, (4_500_000, 9_000_000))
    assert request == asked(flops_budgets=THREE, flops_budget="2.5M")
    assert asked(flops_budgets=["2.5M"]).other_budgets == asked(flops_budget="2.5M").other_budgets == ()
    assert SearchConfig.stored(request.to_json()).other_budgets == request.other_budgets


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Field required"),
        ({"flops_budgets": []}, "Field required"),
        ({"flops_budgets": ["1M", 1_000_000]}, "1000000 is listed twice"),
        ({"flops_budgets": [f"{i}M" for i in range(1, 18)]}, "at most 16 items"),
        ({"flops_budgets": THREE, "flops_budget": "4.5M"}, "flops_budget 4,500,000 is not the first of flops_budgets"),
        ({"flops_budgets": THREE, "flops_budget": "5M"}, "flops_budget 5,000,000 is not among flops_budgets"),
        ({"flops_budgets": THREE, "keep_supernet": False}, "leave keep_supernet out"),
        ({"flops_budgets": THREE, "algorithm": "autonl-paper"}, "start a search for each"),
        ({"flops_budget": "4.5M", "supernet": {"epochs": 0}}, "supernet.epochs is 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        asked(**fields)


def test_the_searches_for_the_others_train_no_supernet_and_have_no_others() -> None:
    first = asked(flops_budgets=THREE, init="none", train={"epochs": 7}, supernet={"candidates": 12, "finalists": 8})
    other = for_budget(first, "a", 9_000_000)
    assert (other.flops_budget, other.parent, other.other_budgets) == (9_000_000, "a", ())
    assert (other.supernet.epochs, other.supernet.candidates, other.supernet.finalists) == (0, 3, 1)
    assert (other.train, other.seed, other.init) == (first.train, first.seed, "none")
    assert SearchConfig.stored(other.to_json()) == SearchConfig.model_validate(other.to_json())


def test_all_of_them_know_which_one_is_the_first() -> None:
    first = asked(flops_budgets=THREE)
    assert first_of(first, "a") == "a"
    assert first_of(for_budget(first, "a", 4_500_000), "b") == "a"
    assert first_of(asked(flops_budget="2.5M"), "c") is None
    assert first_of(asked(flops_budgets=["2.5M"]), "d") is None


@pytest.mark.parametrize("supernet", [{}, SupernetConfig().to_json()], ids=["brief, as is the default", "at length"])
def test_three_budgets_cost_hardly_more_search_than_one(supernet: dict[str, Any]) -> None:
    """Everything but training, in image-MACs: 32 pixels, 9,000 images that fit, 1,000 that judge."""
    alone = settled(flops_budget="4.5M", init="none", supernet=supernet)
    first = settled(flops_budgets=["4.5M", "2.5M", "9M"], init="none", supernet=supernet)
    of_three = first, *(for_budget(first, "a", budget_macs) for budget_macs in first.other_budgets)
    assert sum(map(searching, of_three)) <= 1.3 * searching(alone)


def settled(**fields: Any) -> SearchConfig:
    return settle(asked(**fields), replace(DIGITS, image_size=32), {})


def searching(config: SearchConfig) -> float:
    _, largest_macs = SPACES.get("mobile-32").bind(32, 10).macs_range()
    fit, val = 9_000, 1_000
    plan = WorkPlan(config, largest_macs, fit, fit + val)
    training = 3.0 * config.flops_budget * config.train.epochs * plan.train_images
    return plan.search - training
