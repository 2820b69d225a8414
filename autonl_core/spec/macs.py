"""Analytic MACs and parameters of an architecture.

What is counted, for one image at the architecture's resolution: convolutions (no bias), linear layers, LightNL's
two products and its depthwise convolution, squeeze-excite (both 1x1 convolutions and its pooling, C*H*W) and the
head's global pooling (C*H*W). Not counted: batch normalisation, activations, skip additions.

The search builds its cost table from `block_macs`, so the budget is held to the very numbers reported here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec

COUNTING_RULE = (
    "multiply-adds of one image: convolutions, linear, LightNL products and depthwise convolution, squeeze-excite with "
    "its pooling, head pooling; not batch normalisation, activations, skip additions"
)


@dataclass(frozen=True)
class MacsBreakdown:
    """MACs by kind of layer; `total` is their sum."""

    conv: int = 0
    depthwise: int = 0
    linear: int = 0
    se_pool: int = 0
    head_pool: int = 0
    light_nl: int = 0  # the two products; LightNL's depthwise convolution is under `depthwise`

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    def __add__(self, other: MacsBreakdown) -> MacsBreakdown:
        return MacsBreakdown(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def out_size(size: int, stride: int) -> int:
    """Rows (or columns) after a convolution, however padded, or after taking every `stride`-th: ceil(size / stride)."""
    return -(-size // stride)


def light_nl_macs(channels: int, size: int, spec: LightNLSpec) -> MacsBreakdown:
    """LightNL on a `size` x `size` map, in the cheaper of its two contraction orders.

    Order 1 (positions first): HW * r * (C' + C). Order 2 (channels first): (HW + r) * C * C'. r is the number of
    positions that `x[:, :, ::s, ::s]` really has, so on odd maps it is counted as it is computed.
    """
    positions = size * size
    sampled = out_size(size, spec.nl_stride) ** 2
    compact = int(spec.nl_ratio * channels)
    order1 = positions * sampled * (compact + channels)
    order2 = (positions + sampled) * channels * compact
    return MacsBreakdown(light_nl=min(order1, order2), depthwise=9 * channels * positions)


def non_local_macs(channels: int, size: int, inner_channels: int | None = None) -> int:
    """The classic non-local block on a `size` x `size` map: what LightNL is compared with.

    theta, phi and g, (positions, C) x (C, C_i) each; the affinity and its product with g, HW * HW * C_i each; W_z, back
    to C channels. `inner_channels`, C_i, is C unless given. Softmax, batch norm and residual are not counted.
    """
    positions, inner = size * size, inner_channels or channels
    return 4 * positions * channels * inner + 2 * positions * positions * inner


def block_macs(block: BlockSpec, in_size: int) -> MacsBreakdown:
    """One block on an `in_size` x `in_size` input."""
    size = out_size(in_size, block.stride)
    expanded = block.expanded_channels
    expand = block.in_channels * expanded * in_size**2 if block.expand_ratio > 1 else 0
    squeeze_excite = 2 * expanded * block.se_channels
    project = expanded * block.out_channels * size**2
    macs = MacsBreakdown(
        conv=expand + squeeze_excite + project,
        depthwise=expanded * block.kernel_size**2 * size**2,
        se_pool=expanded * size**2 if block.se_channels else 0,
    )
    if block.light_nl is not None:
        macs += light_nl_macs(block.out_channels, size, block.light_nl)
    return macs


def stem_macs(stem_channels: int, stem_stride: int, resolution: int) -> MacsBreakdown:
    return MacsBreakdown(conv=3 * 9 * stem_channels * out_size(resolution, stem_stride) ** 2)


def head_macs(
    in_channels: int, head_channels: int, num_classes: int, size: int, hidden_channels: int = 0
) -> MacsBreakdown:
    """1x1 convolution and global pooling on a `size` x `size` map, hidden layer if there is one, classifier."""
    hidden = head_channels * hidden_channels
    return MacsBreakdown(
        conv=in_channels * head_channels * size**2,
        head_pool=head_channels * size**2,
        linear=hidden + (hidden_channels or head_channels) * num_classes,
    )


def block_sizes(arch: ArchSpec) -> list[int]:
    """Input size of every block, then the size of the map that enters the head."""
    sizes = [out_size(arch.resolution, arch.stem_stride)]
    for block in arch.blocks:
        sizes.append(out_size(sizes[-1], block.stride))
    return sizes


def count_macs(arch: ArchSpec) -> MacsBreakdown:
    """MACs of the whole network for one image."""
    sizes = block_sizes(arch)
    total = stem_macs(arch.stem_channels, arch.stem_stride, arch.resolution)
    for block, size in zip(arch.blocks, sizes, strict=False):
        total += block_macs(block, size)
    width = arch.blocks[-1].out_channels
    return total + head_macs(width, arch.head_channels, arch.num_classes, sizes[-1], arch.hidden_channels)


def block_params(block: BlockSpec) -> int:
    """Trainable parameters: weights, two per batch-normalised channel, biases of squeeze-excite."""
    expanded, se = block.expanded_channels, block.se_channels
    expand = block.in_channels * expanded + 2 * expanded if block.expand_ratio > 1 else 0
    depthwise = expanded * block.kernel_size**2 + 2 * expanded
    squeeze_excite = 2 * expanded * se + se + expanded if se else 0
    project = expanded * block.out_channels + 2 * block.out_channels
    light_nl = 9 * block.out_channels + 2 * block.out_channels if block.light_nl else 0
    return expand + depthwise + squeeze_excite + project + light_nl


def count_params(arch: ArchSpec) -> int:
    """Trainable parameters of the whole network."""
    stem = 27 * arch.stem_channels + 2 * arch.stem_channels
    head = arch.blocks[-1].out_channels * arch.head_channels + 2 * arch.head_channels
    hidden = (arch.head_channels + 1) * arch.hidden_channels
    classifier = (arch.feature_channels + 1) * arch.num_classes
    return stem + sum(block_params(block) for block in arch.blocks) + head + hidden + classifier
