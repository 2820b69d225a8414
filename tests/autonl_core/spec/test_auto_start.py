"""`init: auto`: which weights, and at which size, over the budgets of a dataset of photographs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError
from autonl_core.spec.auto_start import decide_start, feasible_for_auto
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.recipe import settle
from autonl_core.spec.search_request import SearchRequest
from autonl_core.spec.space_families import SPACES

LITE0 = BUILTIN_WEIGHTS.get("efficientnet-lite0").weights
KNOWN = {LITE0.name: LITE0}
PHOTOS = DatasetSpec("photos", "zip", "photos.zip", ("cat", "dog"), 299, 3_000, 700, "fingerprint")


def request(**fields: object) -> SearchRequest:
    return SearchRequest.model_validate({"dataset": "photos", **fields})


def decided(**fields: object) -> SearchConfig:
    return decide_start(request(**fields), PHOTOS, KNOWN)


def macs(name: str, resolution: int) -> tuple[int, int]:
    return SPACES.get(name).bind(resolution, 2).macs_range()


@pytest.mark.long
@pytest.mark.parametrize("image_size", [64, 96, 299, 2_000])
@pytest.mark.parametrize("resolution", [None, 64, 128])
def test_every_budget_in_the_range_is_accepted_and_none_beyond(image_size: int, resolution: int | None) -> None:
    dataset = replace(PHOTOS, image_size=image_size)

    def space_for(budget_macs: int) -> None:
        config = settle(request(flops_budget=budget_macs, resolution=resolution), dataset, KNOWN)
        low, high = resolve_space(config, dataset).macs_range()
        assert low <= budget_macs <= high

    feasible = feasible_for_auto(request(flops_budget="40M", resolution=resolution), dataset, KNOWN)
    assert feasible is not None
    low, high = feasible
    for step in range(13):
        space_for(min(high, max(low, round(low * (high / low) ** (step / 12)))))
    for beyond in (low - 1, high + 1):
        with pytest.raises(BudgetError) as caught:
            space_for(beyond)
        assert caught.value.feasible_macs == feasible


def test_pretrained_weights_come_first_then_the_size_of_the_images_then_fewer_pixels() -> None:
    least, _ = macs("lite", 64)
    assert decided(flops_budget=least).init == LITE0.name
    below = decided(flops_budget=least - 1)
    assert (below.init, below.resolution) == ("none", 32)
    tiny = decide_start(request(flops_budget=least - 1), replace(PHOTOS, image_size=64), KNOWN)
    assert (tiny.init, tiny.resolution) == ("none", None)  # mobile-32-narrow has so small a network at 64 pixels


def test_of_smaller_sizes_the_one_whose_networks_the_budget_lies_in_the_middle_of_is_chosen() -> None:
    """Two budgets, of which mobile-32-narrow alone has both, and only at 48 pixels."""
    budgets = [17_000_000, 3_000_000]
    assert [size for size in range(32, 96, 16) if fits(macs("mobile-32-narrow", size), budgets)] == [48]
    assert not fits(macs("mobile-32", 32), budgets)
    assert (decided(flops_budgets=budgets).init, decided(flops_budgets=budgets).resolution) == ("none", 48)
    for budget in (2_000_000, 4_000_000, 6_800_000):
        distances = {}
        for size in range(32, 96, 16):
            names = ("mobile-32", "mobile-32-narrow")
            found = next((macs(name, size) for name in names if fits(macs(name, size), [budget])), None)
            if found is not None:
                distances[size] = abs(math.log(budget) - (math.log(found[0]) + math.log(found[1])) / 2)
        assert decided(flops_budget=budget).resolution == min(distances, key=distances.__getitem__)


def fits(macs_range: tuple[int, int], budgets: list[int]) -> bool:
    return all(macs_range[0] <= budget <= macs_range[1] for budget in budgets)


def test_budgets_that_no_start_meets_together_stay_with_the_weights_that_meet_the_first() -> None:
    """So that each of the others is refused with what these weights allow."""
    assert decided(flops_budgets=["300M", "3M"]).init == LITE0.name


def test_a_space_or_a_resolution_that_is_asked_for_is_kept() -> None:
    with pytest.raises(BudgetError, match=r"network of 'lite' at 64 to 320 pixels .* fits this budget in 'lite'$"):
        decided(flops_budget="3M", search_space="lite")
    with pytest.raises(BudgetError, match=r"network at 128 pixels and 2 classes; .* fits: 17 to 48 pixels$"):
        decided(flops_budget="3M", resolution=128)
