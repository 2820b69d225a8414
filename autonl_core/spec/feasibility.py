"""From a configuration and a dataset to a search space: all that can be known before a search is accepted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError, WeightSetError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import NO_INIT, RIVALS, Baseline, SearchConfig
from autonl_core.spec.constraints import check_constraints, missed_by_all
from autonl_core.spec.resolutions import fitting_spans, narrowed_within_budget, ranges_of, resolutions_to_try
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
        ConstraintError: no network meets another limit.
    """
    if config.init != NO_INIT and config.resolution is None:
        return _first_possible(config, dataset)
    resolution = resolution_of(config, dataset)
    space = get_space(config.search_space or space_within(config, dataset), resolution, len(dataset.classes))
    low, high = space.macs_range()
    if low <= config.flops_budget <= high:
        spaces = {resolution: space}
        if config.init != NO_INIT:  # then the head may be narrowed
            spaces = narrowed_within_budget(config, dataset, SPACES.get(space.name))
        check_constraints(config.constraints, spaces.values())
        return space
    families = () if config.other_budgets else open_to(config, resolution)
    names = [family.name for family in families] or [space.name]
    low, high = feasible = span([space.macs_range(), *_ranges(families, space)])
    raise BudgetError(
        f"flops_budget {config.flops_budget:,} is {side_of(config.flops_budget, feasible)} network of "
        f"{' or '.join(map(repr, names))} at {space.resolution} pixels and {space.num_classes} classes; choose between "
        f"{low:,} and {high:,} MACs{_ways_out(config, dataset)}",
        feasible_macs=feasible,
    )


def side_of(budget_macs: int, feasible: tuple[int, int]) -> str:
    """On which side of a range a budget lies that is not in it, as the beginning of "... network"."""
    return "below the smallest" if budget_macs < feasible[0] else "above the largest"


def at_resolutions(sizes: Iterable[int]) -> str:
    """The span of some resolutions in words."""
    listed = sorted(sizes)
    return f"at {listed[0]} to {listed[-1]} pixels" if listed[0] < listed[-1] else f"at {listed[0]} pixels"


def _ways_out(config: SearchConfig, dataset: DatasetSpec) -> str:
    """The end of a refusal: what fits this budget, without a change of the space that is asked for."""
    if config.parent is not None:
        return ""
    usual = [family for family in space_families() if not family.on_request]
    if config.init == NO_INIT:
        families = [SPACES.get(config.search_space)] if config.search_space else usual
        return or_other_resolutions(config.flops_budget, families, dataset)
    own = [SPACES.get(config.search_space or "")]
    if config.resolution is not None and fitting_spans(config.flops_budget, own, len(dataset.classes)):
        return or_other_resolutions(config.flops_budget, own, dataset)
    spans = fitting_spans(config.flops_budget, usual, len(dataset.classes))
    if not spans:
        return "; no resolution fits this budget"
    return f"; from random weights (init {NO_INIT!r}) this budget fits at {_listed(spans)} pixels"


def or_other_resolutions(budget_macs: int, families: Sequence[SpaceFamily], dataset: DatasetSpec) -> str:
    """The end of a refusal: the resolutions at which a network of one of the families meets the budget."""
    spans = fitting_spans(budget_macs, families, len(dataset.classes))
    if not spans:
        return "; no resolution fits this budget" + (f" in {families[0].name!r}" if len(families) == 1 else "")
    return f", or a resolution at which this budget fits: {_listed(spans)} pixels"


def _listed(spans: Iterable[tuple[int, int]]) -> str:
    return " or ".join(f"{first} to {last}" if first < last else str(first) for first, last in spans)


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
    for place, family in enumerate(open_to(config, resolution)):
        space = family.bind(resolution, len(dataset.classes))
        low, high = space.macs_range()
        fits = not missed_by_all(config.constraints, space)
        if fits and low <= min(budgets_macs) and max(budgets_macs) <= high:
            return family.name if place else None
    return None


def open_to(config: SearchConfig, resolution: int) -> tuple[SpaceFamily, ...]:
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
        return span([space.macs_range(), *_ranges(open_to(config, space.resolution), space)])
    if config.resolution is not None:
        return space.macs_range()
    return span(ranges_of(dataset, SPACES.get(space.name)).values())


def _first_possible(config: SearchConfig, dataset: DatasetSpec) -> SearchSpace:
    """The space at the most promising of the resolutions that are chosen from during the search.

    Raises:
        BudgetError: the budget is met at none of them; the message says from where to where it would be.
        ConstraintError: another limit is met at none of them.
    """
    family = SPACES.get(config.search_space or "")
    promising = resolutions_to_try(config, dataset, family)
    if promising:
        return family.bind(promising[0], len(dataset.classes))
    check_constraints(config.constraints, narrowed_within_budget(config, dataset, family).values())
    ranges = ranges_of(dataset, family)
    low, high = feasible = span(ranges.values())
    raise BudgetError(
        f"flops_budget {config.flops_budget:,} is {side_of(config.flops_budget, feasible)} network of {family.name!r} "
        f"{at_resolutions(ranges)} and {len(dataset.classes)} classes; choose between {low:,} and {high:,} MACs"
        f"{_ways_out(config, dataset)}",
        feasible_macs=feasible,
    )


def span(ranges: Iterable[tuple[int, int]]) -> tuple[int, int]:
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
