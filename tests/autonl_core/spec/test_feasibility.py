"""A configuration and a dataset name a search space, and the budget is checked against it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import BudgetError, ConstraintError, SpaceError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import feasible_macs, resolve_space
from autonl_core.spec.macs import count_params
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import SPACES, get_space

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
        assert str(caught.value).startswith(
            f"flops_budget {budget:,} is {side} network of 'tiny' at 8 pixels and 10 classes; "
            f"choose between {low:,} and {high:,} MACs"
        )


def fits(budget: int, resolution: int, search_space: str | None) -> bool:
    try:
        resolve_space(config(budget, resolution=resolution, search_space=search_space), PHOTOS)
    except (BudgetError, SpaceError):
        return False
    return True


@pytest.mark.parametrize(
    ("budget", "resolution", "search_space", "checked"),
    [
        (5_000_000, 224, None, range(8, 100, 2)),
        (900_000_000, 96, None, range(97, 321, 9)),
        (4_000_000, 64, "mobile-32", range(24, 96, 2)),
    ],
    ids=["too small", "too large", "in one space"],
)
def test_a_refusal_names_all_resolutions_at_which_the_budget_fits(
    budget: int, resolution: int, search_space: str | None, checked: range
) -> None:
    with pytest.raises(BudgetError) as caught:
        resolve_space(config(budget, resolution=resolution, search_space=search_space), PHOTOS)
    found = re.search(r"or a resolution at which this budget fits: (.*) pixels$", str(caught.value))
    assert found is not None, caught.value
    spans = [list(map(int, span.split(" to "))) for span in found.group(1).split(" or ")]
    named = {r for span in spans for r in range(span[0], span[-1] + 1)}
    assert {r for r in checked if fits(budget, r, search_space)} == named & set(checked)
    assert named & set(checked)


def test_a_refusal_says_if_no_resolution_fits() -> None:
    with pytest.raises(BudgetError, match=r"MACs; no resolution fits this budget$"):
        resolve_space(config(1), PHOTOS)


SMALL = replace(DIGITS, name="small", image_size=32)
NARROW, USUAL = (SPACES.get(name).bind(32, 10).macs_range() for name in ("mobile-32-narrow", "mobile-32"))


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (NARROW[0], "mobile-32-narrow"),
        (USUAL[0] - 1, "mobile-32-narrow"),
        (USUAL[0], "mobile-32"),
        (USUAL[1], "mobile-32"),
    ],
    ids=["the smallest", "just too small for the usual one", "just large enough", "the largest"],
)
def test_a_budget_too_small_for_the_usual_space_is_searched_in_a_narrow_one(budget: int, name: str) -> None:
    assert resolve_space(config(budget), SMALL).name == name
    assert feasible_macs(config(budget), SMALL, resolve_space(config(budget), SMALL)) == (NARROW[0], USUAL[1])


@pytest.mark.parametrize("budget", [NARROW[0] - 1, USUAL[1] + 1])
def test_a_budget_that_neither_meets_is_refused_with_the_range_of_both(budget: int) -> None:
    with pytest.raises(BudgetError, match="network of 'mobile-32' or 'mobile-32-narrow' at 32 pixels") as caught:
        resolve_space(config(budget), SMALL)
    assert caught.value.feasible_macs == (NARROW[0], USUAL[1])


def test_a_space_that_is_asked_for_stays_the_only_one() -> None:
    with pytest.raises(BudgetError, match="of 'mobile-32' at 32 pixels") as caught:
        resolve_space(config(NARROW[0], search_space="mobile-32"), SMALL)
    assert caught.value.feasible_macs == USUAL
    assert (
        feasible_macs(config(NARROW[0], search_space="mobile-32-narrow"), SMALL, get_space("mobile-32-narrow", 32, 10))
        == NARROW
    )


def test_several_budgets_are_searched_in_one_space() -> None:
    both = [NARROW[0], NARROW[1]]
    assert resolve_space(config(both[0], flops_budgets=both), SMALL).name == "mobile-32-narrow"
    apart = [NARROW[0], USUAL[1]]
    with pytest.raises(BudgetError, match="below the smallest network of 'mobile-32' at") as caught:
        resolve_space(config(apart[0], flops_budgets=apart), SMALL)
    assert caught.value.feasible_macs == USUAL


@pytest.mark.parametrize("resolution", [None, 96])
def test_a_limit_that_only_a_narrower_head_meets_is_accepted_whether_pixels_are_asked_for_or_not(
    resolution: int | None,
) -> None:
    wide, narrow = (get_space_with_head(head).smallest() for head in (1280, 320))
    asked = {"dataset": "photos", "flops_budget": "40M", "search_space": "lite", "resolution": resolution}
    pretrained = {**asked, "init": "efficientnet-lite0"}
    assert count_params(narrow) < count_params(wide) - 1
    for params in (count_params(narrow), count_params(wide) - 1):
        limited = SearchConfig.model_validate({**pretrained, "constraints": {"params": params}})
        assert resolve_space(limited, PHOTOS).name == "lite"
    too_few = {"params": count_params(narrow) - 1}
    with pytest.raises(ConstraintError, match=f"{count_params(narrow):,} parameters of the smallest network of 'lite'"):
        resolve_space(SearchConfig.model_validate({**pretrained, "constraints": too_few}), PHOTOS)


def get_space_with_head(head_channels: int) -> SearchSpace:
    return SPACES.get("lite").bind(96, len(PHOTOS.classes), head_channels)
