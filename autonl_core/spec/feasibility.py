"""From a configuration and a dataset to a search space: all that can be known before a search is accepted."""

from __future__ import annotations

from collections.abc import Iterable

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError, WeightSetError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import NO_INIT, RIVALS, Baseline, SearchConfig
from autonl_core.spec.resolutions import fitting_spans, ranges_of, resolutions_to_try
from autonl_core.spec.scaling import scale_to_macs
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import SPACES, SpaceFamily, get_space, space_families, spaces_made_for
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
    resolution = resolution_of(config, dataset)
    space = get_space(config.search_space or space_within(config, dataset), resolution, len(dataset.classes))
    low, high = space.macs_range()
    if low <= config.flops_budget <= high:
        return space
    families = () if config.other_budgets else _open_to(config, resolution)
    names = [family.name for family in families] or [space.name]
    low, high = _span([space.macs_range(), *_ranges(families, space)])
    others = _other_resolutions(config, dataset)
    side = "below the smallest" if config.flops_budget < low else "above the largest"
    raise BudgetError(
        f"flops_budget {config.flops_budget:,} is {side} network of {' or '.join(map(repr, names))} at "
        f"{space.resolution} pixels and {space.num_classes} classes; choose between {low:,} and {high:,} MACs{others}",
        feasible_macs=(low, high),
    )


def _other_resolutions(config: SearchConfig, dataset: DatasetSpec) -> str:
    """The end of a refusal: the resolutions at which the budget fits; empty if the resolution is not free."""
    if config.parent is not None:
        return ""
    families = (
        [SPACES.get(config.search_space)] if config.search_space else [f for f in space_families() if not f.on_request]
    )
    spans = fitting_spans(config.flops_budget, families, len(dataset.classes))
    listed = " or ".join(f"{first} to {last}" if first < last else str(first) for first, last in spans)
    return (
        f", or a resolution at which this budget fits: {listed} pixels" if spans else "; no resolution fits this budget"
    )


def resolution_of(config: SearchConfig, dataset: DatasetSpec) -> int:
    """Pixels of a search that does not choose them itself."""
    return config.resolution or min(max(dataset.image_size, MIN_RESOLUTION), MAX_RESOLUTION)


def space_within(config: SearchConfig, dataset: DatasetSpec) -> str | None:
    """The space of a search from random weights for all of its budgets, where the usual one has no network so small.

    None: the usual one serves, none does, or a space is asked for.

    Raises:
        SpaceError: no space serves the resolution.
    """
    resolution = resolution_of(config, dataset)
    budgets_macs = config.flops_budgets or (config.flops_budget,)
    for place, family in enumerate(_open_to(config, resolution)):
        low, high = family.bind(resolution, len(dataset.classes)).macs_range()
        if low <= min(budgets_macs) and max(budgets_macs) <= high:
            return family.name if place else None
    return None


def _open_to(config: SearchConfig, resolution: int) -> tuple[SpaceFamily, ...]:
    """The spaces among which the budget decides; none if the search names one, or goes on from another search."""
    if config.search_space is not None or config.parent is not None:
        return ()
    return spaces_made_for(resolution)


def _ranges(families: Iterable[SpaceFamily], like: SearchSpace) -> list[tuple[int, int]]:
    """MACs of the smallest and the largest network of each, for the input and classes of `like`."""
    return [family.bind(like.resolution, like.num_classes).macs_range() for family in families]


def resolutions_of(config: SearchConfig, dataset: DatasetSpec, space: SearchSpace) -> tuple[int, ...]:
    """The resolutions that a search tries, the most promising first: only that of `space` unless it chooses."""
    if config.init == NO_INIT:
        return (space.resolution,)
    return resolutions_to_try(config, dataset, SPACES.get(space.name))


def feasible_macs(config: SearchConfig, dataset: DatasetSpec, space: SearchSpace) -> tuple[int, int]:
    """The smallest and the largest budget of such a search, over all resolutions that it may choose."""
    if config.init == NO_INIT:
        return _span([space.macs_range(), *_ranges(_open_to(config, space.resolution), space)])
    if config.resolution is not None:
        return space.macs_range()
    return _span(ranges_of(dataset, SPACES.get(space.name)).values())


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
        feasible_macs=_span(ranges.values()),
    )


def _span(ranges: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """From the smallest network of all to the largest."""
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


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
