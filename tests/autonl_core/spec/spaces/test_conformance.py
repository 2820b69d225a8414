"""What a search relies on, for every search space in the registry."""

from __future__ import annotations

import random

import pytest

from autonl_core.errors import SpaceError
from autonl_core.spec.macs import count_macs
from autonl_core.spec.space_families import SPACES, get_space

pytestmark = pytest.mark.parametrize("name", SPACES.names())


def test_it_serves_every_resolution_it_names_and_no_other(name: str) -> None:
    family = SPACES.get(name)
    for resolution in (family.resolutions[0], family.resolutions[-1]):
        assert get_space(name, resolution, 10).resolution == resolution
    for resolution in (family.resolutions[0] - 1, family.resolutions[-1] + 1):
        with pytest.raises(SpaceError, match=f"search space '{name}' does not serve {resolution} pixels"):
            get_space(name, resolution, 10)


def test_its_largest_network_costs_more_than_its_smallest_and_both_are_in_it(name: str) -> None:
    space = get_space(name, SPACES.get(name).resolutions[0], 10)
    low, high = space.macs_range()
    assert low == count_macs(space.smallest()).total < count_macs(space.largest()).total == high
    assert space.contains(space.smallest())
    assert space.contains(space.largest())


def test_macs_are_a_sum_over_positions(name: str) -> None:
    """The knapsack relies on it: what an option costs does not depend on the others."""
    space = get_space(name, SPACES.get(name).resolutions[-1], 10)
    rng = random.Random(0)
    for _ in range(20):
        options = [rng.choice(choices.options()) for choices in space.blocks]
        total = space.fixed_macs + sum(space.option_macs(place, option) for place, option in enumerate(options))
        arch = space.build(options)
        assert count_macs(arch).total == total
        assert space.contains(arch)


def test_there_is_something_to_choose_and_a_summary_that_says_for_what(name: str) -> None:
    family = SPACES.get(name)
    assert any(len(choices.options()) > 1 for choices in family.bind(family.resolutions[0], 10).blocks)
    assert len(family.summary) > 10
