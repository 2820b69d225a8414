"""Which resolutions a budget can be met at, and which of them are worth a trial."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.macs import count_macs
from autonl_core.spec.published_net import adapt
from autonl_core.spec.resolutions import (
    TRIALS,
    possible_resolutions,
    resolutions_to_try,
    teacher_resolution,
    whole_macs,
    whole_within,
)
from autonl_core.spec.space_families import SPACES
from autonl_core.spec.zoo import find_net

LITE = SPACES.get("lite")
PHOTOS = DatasetSpec("photos", "zip", "photos.zip", ("cat", "dog"), 299, 3_000, 700, "fingerprint")
BUDGETS = ["8M", "20M", "40M", "100M", "300M", "600M"]


def search(budget: str, **fields: object) -> SearchConfig:
    common = {"dataset": "photos", "init": "efficientnet-lite0", "search_space": "lite", "flops_budget": budget}
    return SearchConfig.model_validate({**common, **fields})


@pytest.mark.parametrize("budget", BUDGETS)
def test_every_possible_resolution_has_networks_on_both_sides_of_the_budget(budget: str) -> None:
    config = search(budget)
    possible = possible_resolutions(config, PHOTOS, LITE)
    for resolution in range(64, 321, 16):
        low, high = LITE.bind(resolution, 2).macs_range()
        assert (resolution in possible) == (low <= config.flops_budget <= high)


@pytest.mark.parametrize("budget", BUDGETS)
def test_few_are_tried_and_all_of_them_are_possible(budget: str) -> None:
    config = search(budget)
    tried = resolutions_to_try(config, PHOTOS, LITE)
    assert 1 <= len(tried) <= TRIALS
    assert set(tried) <= set(possible_resolutions(config, PHOTOS, LITE))
    assert max(tried) <= PHOTOS.image_size


def test_at_40_million_macs_the_network_keeps_about_half_of_the_whole() -> None:
    assert resolutions_to_try(search("40M"), PHOTOS, LITE) == (96, 80)
    assert resolutions_to_try(search("20M"), PHOTOS, LITE) == (64,)


def test_a_given_resolution_is_the_only_one() -> None:
    assert resolutions_to_try(search("40M", resolution=112), PHOTOS, LITE) == (112,)


def test_a_budget_that_nothing_meets_is_answered_with_the_range_and_with_what_meets_it() -> None:
    ways_out = r"of 'lite' at 64 to 320 pixels .* \(init 'none'\) this budget fits at 9 to 17 or 24 to 26 pixels$"
    with pytest.raises(BudgetError, match=ways_out) as caught:
        resolve_space(search("1M"), PHOTOS)
    for size in (9, 17, 24, 26):
        at_random = search("1M", resolution=size).model_copy(update={"init": "none", "search_space": None})
        assert resolve_space(at_random, PHOTOS).resolution == size
    assert caught.value.feasible_macs == (LITE.bind(64, 2).macs_range()[0], LITE.bind(320, 2).macs_range()[1])


def test_the_whole_network_of_the_space_is_efficientnet_lite0_with_small_kernels() -> None:
    lite0 = adapt(find_net("efficientnet_lite0").arch, resolution=128, num_classes=2)
    small = replace(lite0, blocks=tuple(replace(block, kernel_size=3) for block in lite0.blocks))
    assert whole_macs(LITE.bind(128, 2)) == count_macs(small).total


@pytest.mark.parametrize(("image_size", "expected"), [(64, 96), (128, 128), (299, 128)])
def test_the_teacher_sees_no_more_pixels_than_the_images_have_but_96(image_size: int, expected: int) -> None:
    assert teacher_resolution(search("40M"), replace(PHOTOS, image_size=image_size), LITE) == expected


def test_a_larger_budget_is_taught_by_a_larger_teacher() -> None:
    sizes = [teacher_resolution(search(budget), PHOTOS, LITE) for budget in BUDGETS]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 224


@pytest.mark.parametrize(("budget", "expected"), [("20M", 64), ("32M", 64), ("40M", 64), ("60M", 80), ("600M", 272)])
def test_off_the_shelf_the_whole_network_fits_the_budget_and_would_not_with_more_pixels(
    budget: str, expected: int
) -> None:
    lite0 = find_net("efficientnet_lite0").arch
    limit = search(budget).flops_budget
    found = whole_within(lite0, limit, LITE, 2)
    assert (found.resolution, found.num_classes) == (expected, 2)
    assert (count_macs(found).total <= limit) == (budget != "20M")  # 64 pixels are the fewest
    assert count_macs(adapt(found, resolution=expected + 16)).total > limit
