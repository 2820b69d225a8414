"""Architectures aligned layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.arch_string import encode, encode_block
from autonl_core.spec.macs import block_macs, block_params, block_sizes, count_params, head_macs, out_size, stem_macs

Place = tuple[int, int]  # stage and block in it, from 1; the stem is before them, the head after them
_STEM, _HEAD = (0, 0), (10**9, 0)


@dataclass(frozen=True)
class ComparedLayer:
    """Stem, block or head (all that follows the blocks, with the classifier) of one architecture, and what it costs.

    Args:
        summary: in words.
        notation: as in arch strings; of a head with that of the classifier.
        out_size: height and width of its output in pixels; of a head, 1.
    """

    summary: str
    notation: str
    out_channels: int
    out_size: int
    macs: int
    params: int


@dataclass(frozen=True)
class AlignedLayers:
    """The same place in several architectures.

    Args:
        place: "stem", "stage 2 block 1" (counted from 1) or "head".
        layers: in the order of the architectures; None: that one has no block there, or there is no architecture yet.
        equal: whether all architectures have the same layer there, on maps of the same size.
    """

    place: str
    layers: tuple[ComparedLayer | None, ...]
    equal: bool


def aligned_layers(architectures: Sequence[ArchSpec | None]) -> list[AlignedLayers]:
    """Every place at which any of them has a layer, from input to output.

    Blocks are aligned by stage, and from the first one in it: there, options of a search are what differs.
    """
    placed = [dict(_layers(arch)) if arch is not None else {} for arch in architectures]
    aligned = []
    for place in sorted({place for layers in placed for place in layers}):
        found = tuple(layers.get(place) for layers in placed)
        known = [layer for layer, arch in zip(found, architectures, strict=True) if arch is not None]
        aligned.append(AlignedLayers(_name(place), found, all(layer == known[0] for layer in known)))
    return aligned


def stages_of(arch: ArchSpec) -> list[list[BlockSpec]]:
    """Its blocks by stage. A stage begins where the width or the size of the map changes."""
    stages: list[list[BlockSpec]] = []
    for block in arch.blocks:
        if not stages or block.stride != 1 or block.in_channels != block.out_channels:
            stages.append([])
        stages[-1].append(block)
    return stages


def block_summary(block: BlockSpec) -> str:
    """What a block does, without its LightNL: "MBConv 5×5, expand 6, stride 2, SE 0.25"."""
    parts = [f"MBConv {block.kernel_size}×{block.kernel_size}", f"expand {block.expand_ratio:g}"]
    if block.stride > 1:
        parts.append(f"stride {block.stride}")
    if block.se_channels:
        parts.append(f"SE {block.se_ratio:g}")
    if block.residual:
        parts.append("skip")
    return ", ".join(parts)


def _name(place: Place) -> str:
    return {_STEM: "stem", _HEAD: "head"}.get(place, f"stage {place[0]} block {place[1]}")


def _layers(arch: ArchSpec) -> Iterator[tuple[Place, ComparedLayer]]:
    sizes = block_sizes(arch)
    yield _STEM, _stem(arch)
    number = 0
    for stage, blocks in enumerate(stages_of(arch), start=1):
        for place, block in enumerate(blocks, start=1):
            yield (stage, place), _block(block, sizes[number], arch)
            number += 1
    yield _HEAD, _head(arch, sizes[-1])


def _stem(arch: ArchSpec) -> ComparedLayer:
    return ComparedLayer(
        summary=f"conv 3×3, stride {arch.stem_stride}",
        notation=encode(arch).split(" | ")[1],
        out_channels=arch.stem_channels,
        out_size=out_size(arch.resolution, arch.stem_stride),
        macs=stem_macs(arch.stem_channels, arch.stem_stride, arch.resolution).total,
        params=29 * arch.stem_channels,  # 3 x 3 x 3 weights, and scale and shift of the batch norm
    )


def _block(block: BlockSpec, in_size: int, arch: ArchSpec) -> ComparedLayer:
    light_nl = block.light_nl
    own = f", LightNL ratio {light_nl.nl_ratio:g}, stride {light_nl.nl_stride}" if light_nl else ""
    return ComparedLayer(
        summary=block_summary(block) + own,
        notation=encode_block(block, activation=arch.activation),
        out_channels=block.out_channels,
        out_size=out_size(in_size, block.stride),
        macs=block_macs(block, in_size).total,
        params=block_params(block),
    )


def _head(arch: ArchSpec, size: int) -> ComparedLayer:
    """All of the rest, so that the layers add up to the network."""
    width = arch.blocks[-1].out_channels
    hidden = f", linear to {arch.hidden_channels}" if arch.hidden_channels else ""
    before = 29 * arch.stem_channels + sum(block_params(block) for block in arch.blocks)
    return ComparedLayer(
        summary=f"conv 1×1 to {arch.head_channels}, global average pooling{hidden}, linear to {arch.num_classes}",
        notation=" | ".join(encode(arch).split(" | ")[-2:]),
        out_channels=arch.num_classes,
        out_size=1,
        macs=head_macs(width, arch.head_channels, arch.num_classes, size, arch.hidden_channels).total,
        params=count_params(arch) - before,
    )
