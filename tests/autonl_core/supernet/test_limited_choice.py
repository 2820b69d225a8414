"""Landing within more limits than that of MACs, compared with a list of all networks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from autonl_core.errors import BudgetError
from autonl_core.spec.config_sections import Constraints
from autonl_core.spec.constraints import measures_of
from autonl_core.spec.macs import count_macs
from autonl_core.spec.search_space import SearchSpace, StageSpec
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.budget import band, band_within, evenly, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.limited_sampler import sampler_within
from autonl_core.supernet.option_costs import Choice

SMALL = SearchSpace("small", 8, 10, 8, 1, (StageSpec(16, 2, 2),), 32)  # 420 networks


def all_choices(table: GateTable) -> Iterator[Choice]:
    return itertools.product(*(range(len(options)) for options in table.options))


def scores_of(table: GateTable, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=len(options)) for options in table.options]


def total(scores: list[np.ndarray], choice: Choice) -> float:
    return sum(float(values[option]) for values, option in zip(scores, choice, strict=True))


def meets(table: GateTable, choice: Choice, constraints: Constraints) -> bool:
    """Counted on the architecture, not by the table."""
    return all(
        measure.of(table.arch(choice)) <= constraints.limits[name] for name, measure in measures_of(constraints).items()
    )


@pytest.mark.parametrize(
    "limits",
    [
        {"params": 6500},
        {"weights_bytes": 26_000},
        {"peak_activation_bytes": 14_400},
        {"params": 7000, "weights_bytes": 26_500, "peak_activation_bytes": 14_400},
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_best_network_within_all_limits_is_found(limits: dict[str, int], seed: int) -> None:
    constraints = Constraints.model_validate(limits)
    table, free = GateTable(SMALL, constraints), GateTable(SMALL)
    scores, (low, high) = scores_of(table, seed), (100_000, 150_000)
    inside = [choice for choice in all_choices(table) if low <= table.macs(choice) <= high]
    possible = [choice for choice in inside if meets(table, choice, constraints)]
    assert 0 < len(possible) < len(inside)  # the limits matter
    assert {choice for choice in inside if table.allows(choice)} == set(possible)
    found = project(table, scores, low, high)
    assert found.in_band
    assert found.choice in possible
    best = max(total(scores, choice) for choice in possible)
    spread = max(map(np.max, scores)) - min(map(np.min, scores))
    assert total(scores, found.choice) >= best - 0.001 * 2 * spread  # what the solver may leave
    assert total(scores, project(free, scores, low, high).choice) >= total(scores, found.choice)


def test_without_limits_nothing_changes() -> None:
    table = GateTable(SMALL, Constraints())
    assert not table.limited
    assert band_within(table, 150_000) == (*band(150_000), False)
    drawn, alike = (sampler_within(each, evenly(each), 100_000, 200_000) for each in (table, GateTable(SMALL)))
    assert [drawn.draw(np.random.default_rng(seed)) for seed in range(9)] == [
        alike.draw(np.random.default_rng(seed)) for seed in range(9)
    ]


def test_where_the_limits_leave_less_than_the_budget_networks_may_have_fewer_macs() -> None:
    constraints = Constraints(params=50_000)
    table = GateTable(get_space("mobile-32", 32, 10), constraints)
    largest = table.space.macs_range()[1]
    low, high, _ = band_within(table, largest)
    assert high < 0.97 * largest
    assert low == pytest.approx(0.75 * high, abs=1)
    found = project(table, scores_of(table, 0), low, high)
    assert found.in_band
    assert meets(table, found.choice, constraints)
    assert low <= count_macs(table.arch(found.choice)).total <= high


@pytest.mark.parametrize(
    ("limits", "budget_macs"),
    [
        ({"params": 200_000}, 4_500_000),
        ({"params": 60_000}, 4_500_000),
        ({"weights_bytes": 400_000, "peak_activation_bytes": 120_000}, 4_000_000),
    ],
)
def test_random_networks_meet_all_limits_and_differ(limits: dict[str, int], budget_macs: int) -> None:
    constraints = Constraints.model_validate(limits)
    table = GateTable(get_space("mobile-32", 32, 10), constraints)
    low, high, _ = band_within(table, budget_macs)
    sampler, rng = sampler_within(table, evenly(table), low, high), np.random.default_rng(1)
    drawn = [choice for choice in (sampler.draw(rng) for _ in range(20)) if choice is not None]
    assert len(set(drawn)) >= 10
    assert all(meets(table, choice, constraints) for choice in drawn)
    assert all(low <= count_macs(table.arch(choice)).total <= high for choice in drawn)


def test_options_that_are_ruled_out_are_never_drawn_however_likely() -> None:
    constraints = Constraints(peak_activation_bytes=14_000)
    table = GateTable(SMALL, constraints)
    likely = [np.where(out, 1.0, 1e-9) / np.where(out, 1.0, 1e-9).sum() for out in table.ruled_out]
    assert any(out.any() for out in table.ruled_out)
    sampler, rng = sampler_within(table, likely, 60_000, 150_000), np.random.default_rng(0)
    drawn = [choice for choice in (sampler.draw(rng) for _ in range(20)) if choice is not None]
    assert drawn
    assert all(meets(table, choice, constraints) for choice in drawn)


def test_limits_that_no_network_within_the_budget_meets_are_refused() -> None:
    table = GateTable(SMALL, Constraints(params=1000))
    with pytest.raises(BudgetError, match="meets the constraints"):
        band_within(table, 150_000)
