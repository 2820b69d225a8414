"""From a configuration and a dataset to a search space: all that can be known before a search is accepted."""

from __future__ import annotations

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError, WeightSetError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import NO_INIT, RIVALS, Baseline, SearchConfig
from autonl_core.spec.resolutions import ranges_of, resolutions_to_try
from autonl_core.spec.scaling import scale_to_macs
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import SPACES, get_space
from autonl_core.spec.zoo import find_net

MIN_RESOLUTION, MAX_RESOLUTION = 8, 224


def resolve_space(config: SearchConfig, dataset: DatasetSpec) -> SearchSpace:
    """The search space of `config` for the images and classes of `dataset`, its budget checked.

    Raises:
        SpaceError: unknown space, or a resolution it does not serve.
        BudgetError: the budget lies below the smallest or above the largest network.
    """
    if config.init != NO_INIT and config.resolution is None:
        return _first_possible(config, dataset)
    usual = min(max(dataset.image_size, MIN_RESOLUTION), MAX_RESOLUTION)
    space = get_space(config.search_space, config.resolution or usual, len(dataset.classes))
    low, high = space.macs_range()
    if not low <= config.flops_budget <= high:
        side = "below the smallest" if config.flops_budget < low else "above the largest"
        raise BudgetError(
            f"flops_budget {config.flops_budget:,} is {side} network of {space.name!r} at {space.resolution} pixels "
            f"and {space.num_classes} classes; choose between {low:,} and {high:,} MACs",
            feasible_macs=(low, high),
        )
    return space


def resolutions_of(config: SearchConfig, dataset: DatasetSpec, space: SearchSpace) -> tuple[int, ...]:
    """The resolutions that a search tries, the most promising first: only that of `space` unless it chooses."""
    if config.init == NO_INIT:
        return (space.resolution,)
    return resolutions_to_try(config, dataset, SPACES.get(space.name))


def feasible_macs(config: SearchConfig, dataset: DatasetSpec, space: SearchSpace) -> tuple[int, int]:
    """The smallest and the largest budget of such a search, over all resolutions that it may choose."""
    if config.init == NO_INIT or config.resolution is not None:
        return space.macs_range()
    return _span(ranges_of(dataset, SPACES.get(space.name)))


def _first_possible(config: SearchConfig, dataset: DatasetSpec) -> SearchSpace:
    """The space at the most promising of the resolutions that are chosen from during the search.

    Raises:
        BudgetError: the budget is met at none of them; the message lists what each allows.
    """
    family = SPACES.get(config.search_space or "")
    promising = resolutions_to_try(config, dataset, family)
    if promising:
        return family.bind(promising[0], len(dataset.classes))
    ranges = ranges_of(dataset, family)
    listed = ", ".join(f"{px} pixels: {low:,} to {high:,}" for px, (low, high) in ranges.items())
    raise BudgetError(
        f"flops_budget {config.flops_budget:,} is met by no network of {family.name!r} with "
        f"{len(dataset.classes)} classes; MACs by resolution: {listed}",
        feasible_macs=_span(ranges),
    )


def _span(ranges: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """From the smallest network of all resolutions to the largest."""
    return min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())


def check_baseline(name: Baseline, config: SearchConfig, space: SearchSpace) -> None:
    """Whether `config`, with its `init` decided, can be compared with this baseline.

    Raises:
        WeightSetError: it comes from pretrained weights, and the search does not.
        BudgetError: it is a published network that no width multiplier brings within 3% of the budget.
    """
    if name not in RIVALS:
        scale_baseline(name, space, config.flops_budget)
    elif config.init == NO_INIT:
        raise WeightSetError(
            f"{name!r} comes from pretrained weights, and this search starts at random (init {NO_INIT!r}); leave it "
            "out of `baselines`, or set `init` to the name of a weight set"
        )


def scale_baseline(name: Baseline, space: SearchSpace, budget_macs: int) -> ArchSpec:
    """A published network for the input and classes of `space`, at the MACs of a search that it is compared with.

    Raises:
        BudgetError: no width multiplier comes within 3% of these MACs.
    """
    try:
        return scale_to_macs(find_net(name).arch, budget_macs, space.resolution, space.num_classes)
    except BudgetError as error:
        message = f"{name}: {error}; leave it out of `baselines`, or choose another budget"
        raise BudgetError(message, feasible_macs=error.feasible_macs) from error
