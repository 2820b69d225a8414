"""A configuration and a dataset name a search space, and the budget is checked against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import BudgetError, SpaceError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import resolve_space

PHOTOS = replace(DIGITS, name="photos", image_size=500, classes=tuple("abc"))


def config(flops_budget: int | str = "0.4M", **changes: Any) -> SearchConfig:
    return SearchConfig(dataset="digits", flops_budget=flops_budget, **changes)  # type: ignore[arg-type]


def test_without_a_wish_the_data_set_decides() -> None:
    space = resolve_space(config(), DIGITS)
    assert (space.name, space.resolution, space.num_classes) == ("tiny", 8, 10)


def test_large_photographs_are_searched_at_224_pixels() -> None:
    space = resolve_space(config("200M"), PHOTOS)
    assert (space.name, space.resolution, space.num_classes) == ("mobile-224", 224, 3)


def test_minute_images_are_enlarged_to_8_pixels() -> None:
    assert resolve_space(config(), replace(DIGITS, image_size=5)).resolution == 8


def test_a_wish_for_a_resolution_or_a_space_is_followed() -> None:
    assert resolve_space(config("20M", resolution=64), PHOTOS).name == "mobile-32"
    assert resolve_space(config("100M", resolution=96, search_space="mobile-224"), PHOTOS).resolution == 96


def test_a_space_that_does_not_serve_the_images_is_refused() -> None:
    with pytest.raises(SpaceError, match="'mobile-224' does not serve 8 pixels"):
        resolve_space(config(search_space="mobile-224"), DIGITS)


def test_budgets_at_both_ends_of_the_range_are_accepted_and_those_beyond_refused() -> None:
    low, high = resolve_space(config(), DIGITS).macs_range()
    assert resolve_space(config(low), DIGITS) == resolve_space(config(high), DIGITS)
    for budget, side in ((low - 1, "below the smallest"), (high + 1, "above the largest")):
        with pytest.raises(BudgetError) as caught:
            resolve_space(config(budget), DIGITS)
        assert caught.value.feasible_macs == (low, high)
        assert str(caught.value) == (
            f"flops_budget {budget:,} is {side} network of 'tiny' at 8 pixels and 10 classes; "
            f"choose between {low:,} and {high:,} MACs"
        )
