"""Work planned for a search: what it counts, and which part of it is searching."""

from __future__ import annotations

from typing import Any

import pytest

from autonl_core.run.pace import Pace, WorkPlan
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.recipe import from_nothing
from autonl_core.spec.space_families import SPACES

FIT, VAL = 9_000, 1_000  # images


def plan(budget_macs: int, **changes: Any) -> WorkPlan:
    config = SearchConfig.model_validate({"dataset": "photos", "flops_budget": budget_macs, **changes})
    return WorkPlan(config, SPACES.get("mobile-32").bind(32, 10).macs_range()[1], FIT, FIT + VAL)


def training(planned: WorkPlan) -> float:
    """Forward and backward, by all images, in every epoch of the chosen network."""
    return 3.0 * planned.config.flops_budget * planned.train_images * planned.config.train.epochs


@pytest.mark.parametrize("budget_macs", [2_500_000, 4_500_000, 9_000_000])
def test_a_default_search_spends_at_most_16_percent_of_its_compute_on_searching(budget_macs: int) -> None:
    planned = plan(budget_macs)
    assert training(planned) / planned.search >= 0.84


@pytest.mark.parametrize("budget_macs", [2_500_000, 4_500_000, 9_000_000])
def test_a_search_that_says_nothing_of_how_to_search_spends_at_most_6_percent(budget_macs: int) -> None:
    config = SearchConfig.model_validate({"dataset": "digits", "flops_budget": budget_macs, "init": "none"})
    planned = plan(budget_macs, supernet=from_nothing(config).to_json())
    assert training(planned) / planned.search >= 0.94


def test_scores_are_counted() -> None:
    """60 drawn and promising, 8 random ones, 5 always: the best by slopes and scores, a twin, 2."""
    asked = {"epochs": 1, "candidates": 30, "generations": 2, "finalists": 3, "finalist_epochs": 0}
    one = plan(4_500_000, supernet={**asked, "candidates": 1, "generations": 0, "finalists": 1})
    many = plan(4_500_000, supernet=asked)
    assert (one.candidates, many.candidates) == (14, 73)
    assert many.search - one.search == pytest.approx((73 - 14 + 3) * VAL * 4_500_000)


def test_a_search_that_goes_on_with_the_supernet_of_another_scores_half_as_many_random_ones() -> None:
    asked = {"candidates": 2, "generations": 0, "finalists": 1}
    own = plan(4_500_000, supernet={**asked, "epochs": 1})
    of_another = plan(4_500_000, supernet={**asked, "epochs": 0}, parent="0123456789abcdef")
    assert (own.candidates, of_another.candidates) == (15, 11)


def test_every_round_of_the_final_is_counted() -> None:
    """Eight train, then four, then two: the last one is chosen without a training of its own."""
    final = plan(4_500_000, supernet={"finalists": 8, "finalist_epochs": 2})
    none = plan(4_500_000, supernet={"finalists": 1, "finalist_epochs": 2})
    trained, scored = 14 * 2 * FIT * 3, 14 * VAL
    assert final.search - none.search == pytest.approx((trained + scored) * 4_500_000)


@pytest.mark.parametrize("finalists", [2, 3, 8])
def test_a_final_that_is_not_held_leaves_its_work_to_training_in_whole_passes(finalists: int) -> None:
    held = plan(4_500_000, supernet={"finalists": finalists}, baselines=["mobilenet_v2"])
    freed = held.without_final()
    per_pass = 3.0 * 4_500_000 * (FIT + VAL)
    assert freed.freed_epochs == freed.training_epochs - held.training_epochs > 0
    assert held.search - per_pass < freed.search <= held.search
    assert freed.baseline("mobilenet_v2").epochs == freed.training_epochs  # as long as the chosen network


def test_three_finalists_free_two_passes() -> None:
    """Three trainings on 9,000 of 10,000 images are 2.7 passes, and three scores on the others .1."""
    assert plan(4_500_000).without_final().freed_epochs == 2
    assert plan(4_500_000, supernet={"finalists": 1}).without_final().freed_epochs == 0


def test_what_follows_the_counted_work_has_its_share_of_the_fraction() -> None:
    """25 s at 5 billion MACs a second: 125 billion, beside 1,125 billion of work."""
    pace = Pace({"training": 1125e9}, done=562.5e9)
    assert pace.fraction == pytest.approx(0.45)
    pace.done = 1125e9
    assert pace.fraction == pytest.approx(0.9)
    pace.ended = 0.5
    assert pace.fraction == pytest.approx(0.95)
    pace.ended = 1.0
    assert pace.fraction == 0.999  # only a search that succeeded is done


@pytest.mark.parametrize(("work", "share"), [(1e6, 0.25), (375e9, 0.25), (1125e9, 0.1), (1e15, 0.02)])
def test_that_share_has_bounds(work: float, share: float) -> None:
    assert Pace({"training": work}, done=work).fraction == pytest.approx(1 - share)
