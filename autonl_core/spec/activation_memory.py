"""How much memory the maps of an architecture need when it classifies one image."""

from __future__ import annotations

from collections.abc import Iterator

from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.macs import block_sizes, out_size

_FLOAT_BYTES = 4


def peak_activation_bytes(arch: ArchSpec) -> int:
    """The largest sum of maps that are needed at the same time, as float32, for one image.

    Of a network whose batch norms are folded into convolutions, and whose activations work in place: an operator needs
    its input and its output, and a block with a residual needs its own input until the end. Weights are not counted,
    nor what a library allocates besides.
    """
    return _FLOAT_BYTES * max(_alive(arch))


def block_peak_bytes(block: BlockSpec, in_size: int) -> int:
    """The same of one block alone, whose input is a map of `in_size` x `in_size`."""
    return _FLOAT_BYTES * max(_alive_in(block, in_size))


def _alive(arch: ArchSpec) -> Iterator[int]:
    """Numbers that are alive during each operator: of the ends, then of the blocks in order."""
    sizes = block_sizes(arch)
    yield 3 * arch.resolution**2 + arch.stem_channels * sizes[0] ** 2
    yield (arch.blocks[-1].out_channels + arch.head_channels) * sizes[-1] ** 2
    for block, size in zip(arch.blocks, sizes, strict=False):
        yield from _alive_in(block, size)


def _alive_in(block: BlockSpec, in_size: int) -> Iterator[int]:
    size = out_size(in_size, block.stride)
    given, expanded = block.in_channels * in_size**2, block.expanded_channels * in_size**2
    filtered, projected = block.expanded_channels * size**2, block.out_channels * size**2
    kept = given if block.residual else 0
    if block.expand_ratio > 1:
        yield given + expanded
        yield kept + expanded + filtered
    else:
        yield given + filtered
    yield kept + filtered + projected
    if block.light_nl is not None:  # its product and its depthwise convolution, beside what it is added to
        yield kept + 3 * projected
