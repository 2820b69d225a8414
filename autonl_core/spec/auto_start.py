"""What `init: auto` becomes: pretrained weights for photographs, random ones where those have no network so small."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError, ConstraintError, SpaceError
from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.spec.constraints import check_constraints
from autonl_core.spec.feasibility import (
    MAX_RESOLUTION,
    at_resolutions,
    open_to,
    or_other_resolutions,
    resolution_of,
    resolve_space,
    side_of,
    span,
)
from autonl_core.spec.resolutions import STEP_PX, narrowed_within_budget, possible_resolutions, ranges_of
from autonl_core.spec.space_families import SPACES, SpaceFamily, space_families
from autonl_core.spec.weight_set import WeightSet
from autonl_core.spec.weight_spaces import space_of

AUTO_WEIGHTS = "efficientnet-lite0"
PHOTO_PX = 64  # images of at least this size are taken for photographs
_LEAST_PX = 32  # that photographs are scaled down to, for a budget that is met at no larger size


def decide_start(config: SearchConfig, dataset: DatasetSpec, known: Mapping[str, WeightSet]) -> SearchConfig:
    """`config`, whose `init` is `auto`, with its start decided; also its resolution, where only that meets the budget.

    Args:
        known: the weight sets there are, by name.
    Raises:
        BudgetError: neither pretrained nor random weights have a network for the budget.
        ConstraintError: none of these meets another limit.
    """
    family = _pretrained(config, dataset, known)
    if family is None:
        return config.model_copy(update={"init": NO_INIT})
    met = [bool(possible_resolutions(one, dataset, family)) for one in _each_budget(config)]
    at_random = None if all(met) else _at_random(config, dataset)
    if at_random is not None:
        return at_random
    if met[0]:  # of other budgets that are not met, each is refused on its own
        return config.model_copy(update={"init": AUTO_WEIGHTS})
    check_constraints(config.constraints, narrowed_within_budget(config, dataset, family).values())
    raise _refusal(config, dataset, family)


def feasible_for_auto(
    config: SearchConfig, dataset: DatasetSpec, known: Mapping[str, WeightSet]
) -> tuple[int, int] | None:
    """The smallest and the largest budget of a search whose `init` is `auto`; None: only random weights serve it."""
    family = _pretrained(config, dataset, known)
    return None if family is None else span(_ranges(config, dataset, family).values())


def _pretrained(config: SearchConfig, dataset: DatasetSpec, known: Mapping[str, WeightSet]) -> SpaceFamily | None:
    """The space of the pretrained weights; None if the images or what is asked for leave no choice but random ones."""
    size = dataset.image_size if config.resolution is None else min(config.resolution, dataset.image_size)
    if AUTO_WEIGHTS not in known or size < PHOTO_PX or config.algorithm != "autonl":
        return None
    family = space_of(known[AUTO_WEIGHTS])
    return None if family is None or config.search_space not in (None, family.name) else SPACES.get(family.name)


def _at_random(config: SearchConfig, dataset: DatasetSpec) -> SearchConfig | None:
    """From random weights, at the size of the images, or at the smaller one that leaves most to choose; None: at none.

    That is where the budget is closest to the middle of what networks take, by their ratios.
    """
    own, *smaller = (
        config.model_copy(update={"init": NO_INIT, "resolution": resolution})
        for resolution in (config.resolution, *_smaller(config, dataset))
    )
    if _is_met(own, dataset):
        return own

    def distance(one: SearchConfig) -> float:
        low, high = resolve_space(one, dataset).macs_range()
        return abs(math.log(one.flops_budget / math.sqrt(low * high)))

    return min((one for one in smaller if _is_met(one, dataset)), key=distance, default=None)


def _smaller(config: SearchConfig, dataset: DatasetSpec) -> range:
    """Sizes below that of the images, unless one is asked for."""
    end = 0 if config.resolution is not None else min(dataset.image_size, MAX_RESOLUTION)
    return range(_LEAST_PX, end, STEP_PX)


def _is_met(config: SearchConfig, dataset: DatasetSpec) -> bool:
    """Whether networks meet every budget of `config`, with its start decided."""
    try:
        for one in _each_budget(config):
            resolve_space(one, dataset)
    except (BudgetError, ConstraintError, SpaceError):
        return False
    return True


def _each_budget(config: SearchConfig) -> Iterator[SearchConfig]:
    budgets_macs = config.flops_budgets or (config.flops_budget,)
    return (config.model_copy(update={"flops_budget": budget_macs}) for budget_macs in budgets_macs)


def _ranges(config: SearchConfig, dataset: DatasetSpec, family: SpaceFamily) -> dict[int, tuple[int, int]]:
    """MACs of the smallest and the largest network of both starts, by the resolutions that may be chosen."""
    classes = len(dataset.classes)
    ranges = {} if config.resolution is not None else ranges_of(dataset, family)
    for resolution in (resolution_of(config, dataset), *_smaller(config, dataset)):
        serving = [one for one in (family, *open_to(config, resolution)) if resolution in one.resolutions]
        if serving:
            ranges[resolution] = span(one.bind(resolution, classes).macs_range() for one in serving)
    return ranges


def _refusal(config: SearchConfig, dataset: DatasetSpec, family: SpaceFamily) -> BudgetError:
    ranges = _ranges(config, dataset, family)
    feasible = low, high = span(ranges.values())
    name = f" of {family.name!r}" if config.search_space else ""
    families = [family, *(() if config.search_space else (one for one in space_families() if not one.on_request))]
    return BudgetError(
        f"flops_budget {config.flops_budget:,} is {side_of(config.flops_budget, feasible)} network{name} "
        f"{at_resolutions(ranges)} and {len(dataset.classes)} classes; choose between {low:,} and {high:,} MACs"
        f"{or_other_resolutions(config.flops_budget, families, dataset)}",
        feasible_macs=feasible,
    )
