"""Landing on the budget: exact projection, and conditional sampling."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from autonl_core.errors import BudgetError
from autonl_core.spec.macs import count_macs
from autonl_core.spec.search_space import SearchSpace, StageSpec
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.budget import BandSampler, band, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.option_costs import Choice


def random_scores(table: GateTable, seed: int) -> list[np.ndarray]:
    p = np.random.default_rng(seed).uniform(0.02, 0.98, len(table.gates))
    return [np.log(q) for q in table.option_probabilities(p)]


def small_space() -> SearchSpace:
    """Two positions, 20 and 21 options: every one of the 420 networks can be listed."""
    return SearchSpace("small", 8, 10, 8, 1, (StageSpec(16, 2, 2),), 32)


def all_choices(table: GateTable) -> list[Choice]:
    return list(itertools.product(*(range(len(options)) for options in table.options)))


@pytest.mark.parametrize(("name", "resolution"), [("tiny", 8), ("mobile-32", 32), ("mobile-224", 224)])
def test_twenty_budgets_over_the_feasible_range_all_land(name: str, resolution: int) -> None:
    table = GateTable(get_space(name, resolution, 10))
    smallest, largest = table.space.macs_range()
    for number, budget in enumerate(np.linspace(smallest, largest, 20).astype(int).tolist()):
        projection = project(table, random_scores(table, number), *band(budget))
        macs = count_macs(table.arch(projection.choice)).total
        assert projection.in_band
        assert 0.97 * budget <= macs <= budget
        assert projection.macs == macs


@pytest.mark.parametrize("seed", range(5))
def test_projection_finds_the_best_network_of_all(seed: int) -> None:
    table = GateTable(small_space())
    scores = random_scores(table, seed)
    smallest, largest = table.space.macs_range()
    low, high = band(int(smallest + 0.55 * (largest - smallest)))
    inside = [choice for choice in all_choices(table) if low <= table.macs(choice) <= high]
    assert inside
    best = max(sum(float(s[i]) for s, i in zip(scores, choice, strict=True)) for choice in inside)
    found = project(table, scores, low, high).choice
    assert sum(float(s[i]) for s, i in zip(scores, found, strict=True)) == pytest.approx(best)


def test_where_the_space_is_too_coarse_the_best_below_the_budget_is_taken_and_marked() -> None:
    table = GateTable(small_space())
    macs = sorted({table.macs(choice) for choice in all_choices(table)})
    gap, below = max((b - a, a) for a, b in itertools.pairwise(macs))
    budget = below + gap - 1  # one less than what the next network needs
    projection = project(table, random_scores(table, 0), below + 1, budget)
    assert not projection.in_band
    assert projection.macs == below == table.macs(projection.choice)


def test_a_budget_below_the_smallest_network_is_refused_with_the_range() -> None:
    table = GateTable(get_space("tiny", 8, 10))
    smallest, largest = table.space.macs_range()
    with pytest.raises(BudgetError, match=f"{smallest:,}") as refused:
        project(table, random_scores(table, 0), 1, smallest - 1)
    assert refused.value.feasible_macs == (smallest, largest)


def test_draws_follow_the_distribution_conditioned_on_the_budget() -> None:
    table = GateTable(small_space())
    p = np.random.default_rng(7).uniform(0.2, 0.8, len(table.gates))
    probabilities = table.option_probabilities(p)
    smallest, largest = table.space.macs_range()
    low, high = int(0.5 * (smallest + largest)), int(0.5 * (smallest + largest) * 1.1)
    weights = {
        choice: float(np.prod([q[i] for q, i in zip(probabilities, choice, strict=True)]))
        for choice in all_choices(table)
        if low <= table.macs(choice) <= high
    }
    total = sum(weights.values())
    sampler, rng, draws = BandSampler(table, probabilities, low, high), np.random.default_rng(8), 4000
    counts = Counter(sampler.draw(rng) for _ in range(draws))
    assert set(counts) <= set(weights)
    for choice, weight in weights.items():
        expected = weight / total
        tolerance = 5 * (expected * (1 - expected) / draws) ** 0.5 + 0.01  # sums are rounded to 1/1024 of the budget
        assert abs(counts[choice] / draws - expected) < tolerance


def test_an_empty_band_draws_nothing() -> None:
    table = GateTable(get_space("tiny", 8, 10))
    probabilities = table.option_probabilities(np.full(len(table.gates), 0.5))
    smallest = table.space.macs_range()[0]
    assert BandSampler(table, probabilities, 1, smallest - 1).draw(np.random.default_rng(0)) is None
