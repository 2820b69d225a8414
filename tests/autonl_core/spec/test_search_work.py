"""Work of a search by its description: numbers worked by hand, and the plan of a search that runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.run.pace import Teaching, WorkPlan
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.search_work import SearchKind, kind_of, requested_work, search_work

IMAGES = replace(DIGITS, name="images", train_images=100)  # 90 of them fit weights, 10 validate
FIT = 90
RANDOM = 23_710_000.0


def config(**changes: Any) -> SearchConfig:
    return SearchConfig.model_validate({"dataset": "images", "flops_budget": 1_000, **changes})


def test_from_random_weights() -> None:
    """In thousands of image-MACs: training one image takes 3, scoring one network on 10 images takes 10."""
    searching = 2 * (2 * 3 * 90 + 10)  # epochs of two subnets, with a score after each
    deriving = (32 + 2 * 16 + 13) * 10 + 3 * (90 * 3 + 10)  # scores, and one round of three finalists
    training = 70 * 100 * 3
    assert 1_000 * (searching + deriving + training) == RANDOM
    assert search_work(config(), IMAGES) == RANDOM


def test_from_pretrained_weights() -> None:
    """The teacher has 2.5 times the MACs of the budget, gets a classifier, learns for 5 epochs, and answers for all."""
    searching = 2 * ((2 * 3 + 2.5) * 90 + 10)
    deriving = (32 + 2 * 16 + 13) * 10 + 3 * (90 * 5.5 + 10)
    training, teacher = 70 * 100 * 5.5, (1 + 5 * 3) * 90 * 2.5
    total = 1_000 * (teacher + searching + deriving + training)
    assert search_work(config(init="mine"), IMAGES) == total
    assert search_work(config(init="mine", parent="a"), IMAGES) == total - 1_000 * teacher
    unheard = search_work(config(init="mine", teacher={"weight": 0.0}), IMAGES)
    assert unheard == RANDOM + 1_000 * teacher


def test_a_published_baseline_trains_as_long_as_the_chosen_network() -> None:
    assert search_work(config(baselines=["mobilenet_v2"]), IMAGES) == RANDOM + 70 * 100 * 3_000


def test_rivals_work_as_much_as_the_search() -> None:
    alone = search_work(config(init="mine"), IMAGES)
    teacher = (1 + 5 * 3) * 90 * 2_500
    assert search_work(config(init="mine", baselines=["off-the-shelf"]), IMAGES) == 2 * alone
    assert search_work(config(init="mine", baselines=["uniform"]), IMAGES) == 2 * alone - teacher


@pytest.mark.parametrize("changes", [{"finalists": 8, "finalist_epochs": 2}, {"generations": 0}, {"epochs": 7}])
@pytest.mark.parametrize("init", ["none", "mine"])
def test_it_is_what_a_search_that_runs_plans_without_the_slopes_of_the_largest_network(
    init: str, changes: dict[str, int]
) -> None:
    asked = config(init=init, supernet=changes)
    plan = WorkPlan(asked, 0, FIT, 100, Teaching(2_500 if init == "mine" else 0))
    assert search_work(asked, IMAGES) == pytest.approx(plan.search)


def test_a_request_is_all_its_repeats_or_budgets() -> None:
    assert requested_work(config(repeat=3), IMAGES) == 3 * RANDOM
    assert search_work(config(repeat=3), IMAGES) == RANDOM
    both = config(flops_budgets=[1_000, 3_000])
    first = RANDOM + 2 * 2 * 3 * 90 * 500  # the harmonic mean of both budgets is 1,500, and shared weights learn for it
    second = 3_000 * ((8 + 4 + 9) * 10 + 70 * 100 * 3)  # it has one finalist, half the random ones, and no supernet
    assert search_work(both, IMAGES) == first
    assert requested_work(both, IMAGES) == first + second


def test_kinds() -> None:
    assert kind_of(config(), IMAGES) == kind_of(config(search_space="tiny"), IMAGES)  # it is the usual one at 8 pixels
    assert kind_of(config(init="mine", search_space="lite"), IMAGES) == SearchKind(True, "lite", "autonl")
    assert str(kind_of(config(), IMAGES)) == "from random weights in space 'tiny' by 'autonl'"
