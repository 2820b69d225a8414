"""Architectures that several tests speak of: the published networks, and random ones for properties."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from autonl_core.spec.arch import Activation, ArchSpec, BlockSpec, Divisor, LightNLSpec, Padding, SeGate
from autonl_core.spec.zoo import ZOO

AUTONL_S = ZOO["autonl_s"].arch_string
PUBLISHED = {name: ZOO[name].arch_string for name in ("autonl_s", "autonl_l")}


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
_ACTIVATIONS = st.sampled_from(get_args(Activation))


@st.composite
def light_nls(draw: st.DrawFn, channels: int) -> LightNLSpec:
    """A LightNL that leaves at least one of `channels` for the affinity."""
    smallest = min(1.0, 1.5 / channels)
    ratio, stride = draw(st.floats(min_value=smallest, max_value=1)), draw(st.integers(1, 8))
    return LightNLSpec(ratio, stride, draw(st.sampled_from(get_args(Divisor))))


@st.composite
def block_specs(draw: st.DrawFn, in_channels: int) -> BlockSpec:
    """Any legal block that takes `in_channels`."""
    out_channels = draw(st.sampled_from([in_channels, 1, 8, 24, 37]))
    se_ratio = draw(st.sampled_from([0.0, 0.25, 0.5]) | _RATIOS)
    return BlockSpec(
        in_channels=in_channels,
        out_channels=out_channels,
        stride=draw(st.integers(1, 2)),
        kernel_size=draw(st.sampled_from([1, 3, 5, 7])),
        expand_ratio=draw(st.integers(1, 8) | st.sampled_from([2.3, 2.5]) | st.floats(min_value=1, max_value=8)),
        se_ratio=se_ratio,
        light_nl=draw(st.none() | light_nls(out_channels)),
        skip=draw(st.booleans()),
        activation=draw(_ACTIVATIONS),
        se_gate=draw(st.sampled_from(get_args(SeGate))) if se_ratio else "sigmoid",
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
        hidden_channels=draw(st.sampled_from([0, 64]) | st.integers(0, 1280)),
        activation=draw(_ACTIVATIONS),
        padding=draw(st.sampled_from(get_args(Padding))),
    )
