"""Architectures that several tests speak of: the published networks, and random ones for properties."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from autonl_core.arch import ArchSpec, BlockSpec, LightNLSpec

AUTONL_S = (
    "in224 | cn_k3_s2_c32 | ds_r1_k3_s1_c16"
    " | ir_r1_k3_s2_e3_c24_nl0.25-1 ir_r1_k3_s1_e3_c24"
    " | ir_r1_k5_s2_e3_c40_nl0.25-1 ir_r1_k3_s1_e3_c40_nl0.25-2 ir_r1_k3_s1_e3_c40"
    " | ir_r1_k5_s2_e6_c80_se0.25_nl0.25-1 ir_r2_k3_s1_e3_c80_se0.5"
    " | ir_r1_k5_s1_e6_c96_se0.25_nl0.25-1 ir_r3_k3_s1_e3_c96_se0.5"
    " | ir_r1_k5_s2_e6_c192_se0.25_nl0.25-1 ir_r3_k5_s1_e3_c192_se0.5"
    " | ir_r1_k5_s1_e6_c320_se0.5_nl0.25-1 | cn_k1_s1_c1280 | fc1000"
)
AUTONL_L = (
    "in224 | cn_k3_s2_c32 | ds_r1_k3_s1_c16"
    " | ir_r1_k5_s2_e3_c24_nl0.25-1 ir_r1_k5_s1_e3_c24 ir_r1_k3_s1_e3_c24_nl0.25-2"
    " | ir_r1_k5_s2_e6_c40_nl0.25-1 ir_r3_k3_s1_e3_c40_nl0.25-2"
    " | ir_r1_k5_s2_e6_c80_nl0.25-1 ir_r2_k3_s1_e3_c80_se0.5 ir_r1_k3_s1_e3_c80_se0.5_nl0.125-2"
    " | ir_r1_k5_s1_e6_c96_se0.5_nl0.25-1 ir_r2_k5_s1_e3_c96_se0.5 ir_r1_k3_s1_e3_c96_se0.5_nl0.25-2"
    " | ir_r1_k5_s2_e6_c192_se0.5_nl0.25-1 ir_r2_k5_s1_e6_c192_se0.5_nl0.125-1 ir_r1_k5_s1_e6_c192_se0.5"
    " | ir_r1_k5_s1_e6_c320_se0.5_nl0.25-1 | cn_k1_s1_c1280 | fc1000"
)
PUBLISHED = {"autonl_s": AUTONL_S, "autonl_l": AUTONL_L}


def block(in_channels: int = 8, out_channels: int = 8, **changes: Any) -> BlockSpec:
    """A plain 3x3 MBConv of expansion 3, with `changes`."""
    plain: dict[str, Any] = {"stride": 1, "kernel_size": 3, "expand_ratio": 3}
    return BlockSpec(in_channels=in_channels, out_channels=out_channels, **{**plain, **changes})


def network(*blocks: BlockSpec) -> ArchSpec:
    """A network of the given blocks for 32-pixel images and 10 classes."""
    stem = blocks[0].in_channels if blocks else 8
    return ArchSpec(
        resolution=32, num_classes=10, stem_channels=stem, stem_stride=1, blocks=tuple(blocks), head_channels=64
    )


_RATIOS = st.floats(min_value=0, max_value=1, allow_subnormal=False)


@st.composite
def light_nls(draw: st.DrawFn, channels: int) -> LightNLSpec:
    """A LightNL that leaves at least one of `channels` for the affinity."""
    smallest = min(1.0, 1.5 / channels)
    return LightNLSpec(draw(st.floats(min_value=smallest, max_value=1)), draw(st.integers(1, 8)))


@st.composite
def block_specs(draw: st.DrawFn, in_channels: int) -> BlockSpec:
    """Any legal block that takes `in_channels`."""
    out_channels = draw(st.sampled_from([in_channels, 1, 8, 24, 37]))
    return BlockSpec(
        in_channels=in_channels,
        out_channels=out_channels,
        stride=draw(st.integers(1, 2)),
        kernel_size=draw(st.sampled_from([1, 3, 5, 7])),
        expand_ratio=draw(st.integers(1, 8)),
        se_ratio=draw(st.sampled_from([0.0, 0.25, 0.5]) | _RATIOS),
        light_nl=draw(st.none() | light_nls(out_channels)),
        skip=draw(st.booleans()),
    )


@st.composite
def arch_specs(draw: st.DrawFn) -> ArchSpec:
    """Any legal architecture, with runs of equal blocks more often than chance would give them."""
    stem_channels = draw(st.integers(1, 40))
    blocks: list[BlockSpec] = []
    for _ in range(draw(st.integers(1, 6))):
        chosen = draw(block_specs(blocks[-1].out_channels if blocks else stem_channels))
        blocks.append(chosen)
        if chosen.stride == 1 and chosen.in_channels == chosen.out_channels:
            blocks += [chosen] * draw(st.integers(0, 3))
    return ArchSpec(
        resolution=draw(st.integers(4, 320)),
        num_classes=draw(st.integers(2, 2000)),
        stem_channels=stem_channels,
        stem_stride=draw(st.integers(1, 2)),
        blocks=tuple(blocks),
        head_channels=draw(st.integers(1, 1280)),
    )
