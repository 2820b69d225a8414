"""How many bytes the weights of an architecture take once its batch norms are folded into convolutions."""

from __future__ import annotations

from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.macs import block_params, count_params

_FLOAT_BYTES = 4


def weights_bytes(arch: ArchSpec) -> int:
    """Bytes of all weights and biases as float32: what the ONNX file of the network has of them."""
    normalised = arch.stem_channels + arch.head_channels + sum(map(_normalised_channels, arch.blocks))
    return _FLOAT_BYTES * (count_params(arch) - normalised)


def block_weights_bytes(block: BlockSpec) -> int:
    """The same of one block."""
    return _FLOAT_BYTES * (block_params(block) - _normalised_channels(block))


def _normalised_channels(block: BlockSpec) -> int:
    """Channels that a batch norm scales and shifts: folded, two parameters of each become one bias."""
    expansions = 2 if block.expand_ratio > 1 else 1  # the depthwise convolution, and the one that expands
    projections = 1 if block.light_nl is None else 2
    return expansions * block.expanded_channels + projections * block.out_channels
