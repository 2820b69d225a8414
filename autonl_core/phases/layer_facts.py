"""The layers of an architecture with what each costs: MACs, parameters and measured time."""

from __future__ import annotations

from collections.abc import Mapping

from autonl_core.report.facts import LayerFacts
from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.macs import (
    block_macs,
    block_params,
    block_sizes,
    count_params,
    head_macs,
    light_nl_macs,
    out_size,
    stem_macs,
)
from autonl_core.spec.side_by_side.layers import block_summary


def layer_facts(arch: ArchSpec, times_ms: Mapping[str, float]) -> tuple[LayerFacts, ...]:
    """Stem, blocks, head (with its pooling) and classifier; their MACs and parameters add up to those of the network.

    Args:
        times_ms: by layer, as `nn.profile.time_layers` returns them.
    """
    sizes = block_sizes(arch)
    stem = _stem(arch, times_ms)
    blocks = [_block(index, block, sizes[index], times_ms) for index, block in enumerate(arch.blocks)]
    head = _head(arch, sizes[-1], times_ms)
    params = count_params(arch) - sum(layer.params for layer in (stem, *blocks, head))
    return (stem, *blocks, head, _classifier(arch, sizes[-1], params, times_ms))


def _stem(arch: ArchSpec, times_ms: Mapping[str, float]) -> LayerFacts:
    return LayerFacts(
        name="stem",
        summary=f"conv 3×3, stride {arch.stem_stride}",
        out_channels=arch.stem_channels,
        out_size=out_size(arch.resolution, arch.stem_stride),
        macs=stem_macs(arch.stem_channels, arch.stem_stride, arch.resolution).total,
        params=29 * arch.stem_channels,  # 3 x 3 x 3 weights, and scale and shift of the batch norm
        time_ms=times_ms["stem"],
    )


def _block(index: int, block: BlockSpec, in_size: int, times_ms: Mapping[str, float]) -> LayerFacts:
    size, name = out_size(in_size, block.stride), f"blocks.{index}"
    light_nl = block.light_nl
    return LayerFacts(
        name=f"block {index + 1}",  # counted from 1, as people do
        summary=block_summary(block),
        out_channels=block.out_channels,
        out_size=size,
        macs=block_macs(block, in_size).total,
        params=block_params(block),
        time_ms=times_ms[name],
        light_nl=f"ratio {light_nl.nl_ratio:g}, stride {light_nl.nl_stride}" if light_nl else "",
        light_nl_macs=light_nl_macs(block.out_channels, size, light_nl).total if light_nl else 0,
        light_nl_ms=times_ms.get(f"{name}.light_nl", 0.0),
    )


def _head(arch: ArchSpec, size: int, times_ms: Mapping[str, float]) -> LayerFacts:
    width = arch.blocks[-1].out_channels
    macs = head_macs(width, arch.head_channels, arch.num_classes, size, arch.hidden_channels)
    return LayerFacts(
        name="head",
        summary="conv 1×1, global average pooling",
        out_channels=arch.head_channels,
        out_size=size,
        macs=macs.total - macs.linear,
        params=arch.head_channels * (width + 2),
        time_ms=times_ms["head"],
    )


def _classifier(arch: ArchSpec, size: int, params: int, times_ms: Mapping[str, float]) -> LayerFacts:
    width = arch.blocks[-1].out_channels
    return LayerFacts(
        name="classifier",
        summary=f"linear, {arch.feature_channels} to {arch.num_classes}",
        out_channels=arch.num_classes,
        out_size=1,
        macs=head_macs(width, arch.head_channels, arch.num_classes, size, arch.hidden_channels).linear,
        params=params,
        time_ms=times_ms["classifier"],
    )
