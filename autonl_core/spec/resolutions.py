"""At which input sizes a budget can be met, and which of them are worth a trial."""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Iterable

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.constraints import missed_by_all
from autonl_core.spec.head_width import narrowest_head
from autonl_core.spec.macs import count_macs
from autonl_core.spec.published_net import adapt
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import SpaceFamily

STEP_PX = 16
TRIALS = 3  # resolutions that are tried at most
BEST_SHARE = 0.62  # of the whole network's MACs that the budget should be: measured, docs/transfer.md
TEACHER_SHARE = 2.5  # of the budget that the teacher takes at least, for what it learns from more pixels
_LEAST_SHARE, _MOST_SHARE = 0.45, 1.05
_TEACHER_LEAST_PX, _TEACHER_MOST_PX = 128, 224
_PHOTO_LEAST_PX = 96
_WHOLE_LEAST_PX = 32  # of a whole network: most halve their input five times


def possible_resolutions(config: SearchConfig, dataset: DatasetSpec, family: SpaceFamily) -> dict[int, SearchSpace]:
    """Resolution -> the space at it, for all that the configuration allows and where networks meet all its limits."""
    spaces, narrowed = _within_budget(config, dataset, family), narrowed_within_budget(config, dataset, family)
    return {r: spaces[r] for r in spaces if not missed_by_all(config.constraints, narrowed[r])}


def narrowed_within_budget(config: SearchConfig, dataset: DatasetSpec, family: SpaceFamily) -> dict[int, SearchSpace]:
    """The same with the narrowest head that suits the classes, whatever is limited besides MACs."""
    classes = len(dataset.classes)
    head_channels = narrowest_head(family, classes)
    return {r: family.bind(r, classes, head_channels) for r in _within_budget(config, dataset, family)}


def _within_budget(config: SearchConfig, dataset: DatasetSpec, family: SpaceFamily) -> dict[int, SearchSpace]:
    """Resolution -> the space at it, where networks meet the budget."""
    if config.resolution is not None:
        asked = [config.resolution] if config.resolution in family.resolutions else []
    else:
        asked = _steps(family)
    spaces = {resolution: family.bind(resolution, len(dataset.classes)) for resolution in asked}
    return {r: space for r, space in spaces.items() if _meets(space, config.flops_budget)}


def ranges_of(dataset: DatasetSpec, family: SpaceFamily) -> dict[int, tuple[int, int]]:
    """Resolution -> MACs of the smallest and of the largest network there."""
    return {resolution: family.bind(resolution, len(dataset.classes)).macs_range() for resolution in _steps(family)}


def fitting_spans(budget_macs: int, families: Iterable[SpaceFamily], num_classes: int) -> list[tuple[int, int]]:
    """The spans of resolutions at which a network of one of the families meets the budget, ascending and disjoint.

    MACs never fall as the resolution grows, so that in each family there is one span at most.
    """
    found: list[tuple[int, int]] = []
    for family in families:
        ranges = functools.partial(_macs_range, family, num_classes)
        first = bisect.bisect_left(family.resolutions, budget_macs, key=lambda r: ranges(r)[1])
        end = bisect.bisect_right(family.resolutions, budget_macs, key=lambda r: ranges(r)[0])
        if first < end:
            found.append((family.resolutions[first], family.resolutions[end - 1]))
    return _merged(sorted(found))


def _macs_range(family: SpaceFamily, num_classes: int, resolution: int) -> tuple[int, int]:
    return family.bind(resolution, num_classes).macs_range()


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for span in spans:
        if merged and span[0] <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(span[1], merged[-1][1]))
        else:
            merged.append(span)
    return merged


def resolutions_to_try(config: SearchConfig, dataset: DatasetSpec, family: SpaceFamily) -> tuple[int, ...]:
    """The possible resolutions that are worth a trial, the most promising first; none only if none is possible.

    Measured: a network does best that keeps about half to three quarters of the pretrained one's MACs. A resolution
    that leaves less cuts away what was learned; one that leaves more sees too few pixels. More pixels than the images
    have add nothing.
    """
    possible = possible_resolutions(config, dataset, family)
    if not possible:
        return ()
    useful = [r for r in possible if r <= max(dataset.image_size, min(possible))]
    distance = {r: abs(math.log(config.flops_budget / whole_macs(possible[r]) / BEST_SHARE)) for r in useful}
    ranked = sorted(useful, key=lambda r: distance[r])
    good = [r for r in ranked if _LEAST_SHARE <= config.flops_budget / whole_macs(possible[r]) <= _MOST_SHARE]
    return tuple((good or ranked[:1])[:TRIALS])


def teacher_resolution(config: SearchConfig, dataset: DatasetSpec, family: SpaceFamily) -> int:
    """Pixels at which the pretrained network is fine-tuned: more than the chosen one will see."""
    if config.teacher.resolution is not None:
        return config.teacher.resolution
    most = max(_PHOTO_LEAST_PX, min(_TEACHER_MOST_PX, dataset.image_size // 32 * 32))
    for resolution in range(min(_TEACHER_LEAST_PX, most), most, 32):
        space = family.bind(max(resolution, family.resolutions[0]), len(dataset.classes))
        if whole_macs(space) >= TEACHER_SHARE * config.flops_budget:
            return resolution
    return most


def whole_within(arch: ArchSpec, budget_macs: int, family: SpaceFamily, num_classes: int) -> ArchSpec:
    """The network at the largest input size at which it is within the budget; at the smallest if it is at none."""
    sizes = [size for size in _steps(family) if size >= _WHOLE_LEAST_PX] or _steps(family)
    archs = [adapt(arch, resolution=size, num_classes=num_classes) for size in sizes]
    within = [arch for arch in archs if count_macs(arch).total <= budget_macs]
    return within[-1] if within else archs[0]


def whole_macs(space: SearchSpace) -> int:
    """MACs of the network with every layer, the largest expansions and the smallest kernels, without LightNL."""
    blocks = []
    for choices in space.blocks:
        options = [option for option in choices.options() if option is not None and option.light_nl is None]
        blocks.append(max(options, key=lambda option: (option.expand_ratio, -option.kernel_size)))
    return count_macs(space.build(list(blocks))).total


def _steps(family: SpaceFamily) -> list[int]:
    first = -(-family.resolutions[0] // STEP_PX) * STEP_PX
    return list(range(first, family.resolutions[-1] + 1, STEP_PX))


def _meets(space: SearchSpace, budget_macs: int) -> bool:
    low, high = space.macs_range()
    return low <= budget_macs <= high
