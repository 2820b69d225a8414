"""Published networks halve an image of 224 pixels five times; smaller images need fewer of these halvings.

At 32 pixels a network as published ends on a map of a single pixel, and says little about its architecture. So its
earliest strides are dropped, as is usual on CIFAR: maps are larger from the beginning, and the others keep their place.
"""

from __future__ import annotations

from dataclasses import replace

from autonl_core.spec.arch import ArchSpec

LEAST_MAP_PX = 3  # on a side, of the last map: published networks have 3 at 96 pixels, and 7 at 224


def total_stride(arch: ArchSpec) -> int:
    """How many pixels of the image one pixel of the last map stands for, on a side."""
    stride = arch.stem_stride
    for block in arch.blocks:
        stride *= block.stride
    return stride


def with_total_stride(arch: ArchSpec, most: int) -> ArchSpec:
    """`arch` with a total stride of at most `most`: its earliest strides become 1."""
    if total_stride(arch) > most:
        arch = replace(arch, stem_stride=1)
    blocks = list(arch.blocks)
    for place, block in enumerate(blocks):
        if total_stride(replace(arch, blocks=tuple(blocks))) <= most:
            break
        blocks[place] = replace(block, stride=1)
    return replace(arch, blocks=tuple(blocks))


def fit_strides(arch: ArchSpec) -> ArchSpec:
    """`arch` with so few strides that its last map has at least 3 x 3 pixels, or as many as its input has."""
    most = total_stride(arch)
    while most > 1 and -(-arch.resolution // most) < LEAST_MAP_PX:
        most //= 2
    return with_total_stride(arch, most)
