"""Which search space has the network of a weight set, so that its weights can start that space's supernet."""

from __future__ import annotations

from dataclasses import replace

from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.published_net import adapt
from autonl_core.spec.space_families import SpaceFamily, space_families
from autonl_core.spec.weight_set import WeightSet


def space_of(weights: WeightSet) -> SpaceFamily | None:
    """The space that has the network of `weights`; None if no space has it."""
    return next((family for family in space_families() if _has(family, weights.arch)), None)


def _has(family: SpaceFamily, arch: ArchSpec) -> bool:
    resolution = family.resolutions[-1]
    return family.bind(resolution, arch.num_classes).contains(adapt(divided_by_positions(arch), resolution=resolution))


def divided_by_positions(arch: ArchSpec) -> ArchSpec:
    """The architecture with every LightNL divided by positions, as those of search spaces are."""
    blocks = (
        replace(block, light_nl=replace(block.light_nl, divisor="positions")) if block.light_nl else block
        for block in arch.blocks
    )
    return replace(arch, blocks=tuple(blocks))
