"""One supernet for several budgets: its weights learn on subnets near each of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from autonl_core.spec.config import SearchConfig
from autonl_core.spec.space_families import SPACES
from autonl_core.supernet.algorithms.autonl import MEMBER, TRAINING_BAND, SampledGates
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.supernet import Supernet


def config(**fields: Any) -> SearchConfig:
    return SearchConfig.model_validate({"dataset": "digits", "flops_budget": 200_000, **fields})


def drawn_macs(settings: SearchConfig, draws: int = 300) -> list[int]:
    """MACs of the subnets that a learner at its beginning trains, after the warm-up."""
    table = GateTable(SPACES.get("tiny").bind(8, 10))
    learner, rng = SampledGates(Supernet(table, seed=0), settings), np.random.default_rng(0)
    return [table.macs(learner._sample(rng, progress=0.9)) for _ in range(draws)]


def test_subnets_are_near_every_budget_with_the_same_work_for_each() -> None:
    budgets = [200_000, 300_000, 450_000]
    low, high = TRAINING_BAND
    near = Counter(
        next(budget for budget in budgets if low * budget <= macs <= high * budget)
        for macs in drawn_macs(config(flops_budgets=budgets), draws=3000)
    )
    assert set(near) == set(budgets)
    assert near[200_000] == pytest.approx(3000 * 9 / 19, abs=90)  # 1/200 : 1/300 : 1/450 = 9 : 6 : 4; error of 28 each
    assert near[300_000] == pytest.approx(3000 * 6 / 19, abs=90)


def test_one_budget_in_the_list_is_the_same_as_without_a_list() -> None:
    assert drawn_macs(config(flops_budgets=[200_000])) == drawn_macs(config())


def test_the_work_is_that_of_their_harmonic_mean() -> None:
    several, mean = config(flops_budgets=[200_000, 300_000, 600_000]), config(flops_budget=300_000)
    assert MEMBER.macs_per_image(several, 10**6) == pytest.approx(MEMBER.macs_per_image(mean, 10**6))
