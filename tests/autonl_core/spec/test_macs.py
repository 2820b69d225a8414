"""MACs and parameters: worked by hand on small maps, and equal to the published networks in every column."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.macs import (
    MacsBreakdown,
    block_macs,
    block_params,
    block_sizes,
    count_macs,
    count_params,
    head_macs,
    light_nl_macs,
    non_local_macs,
    out_size,
    stem_macs,
)
from tests.autonl_core.sample_architectures import PUBLISHED, arch_specs, block, network

REFERENCE = json.loads((Path(__file__).parents[2] / "data" / "published_macs.json").read_text())


def test_a_map_that_does_not_divide_is_rounded_up() -> None:
    assert [out_size(size, 2) for size in (8, 7, 1)] == [4, 4, 1]


@given(st.integers(1, 300), st.integers(1, 9))
def test_the_size_of_a_strided_map_is_what_slicing_gives(size: int, stride: int) -> None:
    assert out_size(size, stride) == len(range(size)[::stride])


def test_stem_by_hand() -> None:
    # 3 input channels, 3x3 kernel, 16 filters, at 17 x 17 positions: 3 * 9 * 16 * 289
    assert stem_macs(stem_channels=16, stem_stride=2, resolution=33) == MacsBreakdown(conv=124_848)


def test_mbconv_with_squeeze_excite_by_hand() -> None:
    # 9 x 9 in, 5 x 5 out; 8 * 3 = 24 expanded channels; the squeeze has a quarter of the 8 input channels, 2
    spec = BlockSpec(in_channels=8, out_channels=16, stride=2, kernel_size=5, expand_ratio=3, se_ratio=0.25)
    assert block_macs(spec, in_size=9) == MacsBreakdown(
        conv=8 * 24 * 81  # expand at the input size: 15,552
        + 24 * 2
        + 2 * 24  # squeeze and excite, once per image: 96
        + 24 * 16 * 25,  # project: 9,600
        depthwise=24 * 25 * 25,  # 5x5 kernel at 25 positions: 15,000
        se_pool=24 * 25,  # 600
    )
    assert block_macs(spec, in_size=9).total == 40_848
    # expand 8*24 + BN 48; depthwise 24*25 + BN 48; squeeze 24*2 + 2, excite 2*24 + 24; project 24*16 + BN 32
    assert block_params(spec) == 240 + 648 + 50 + 72 + 416


def test_without_expansion_there_is_no_expanding_convolution() -> None:
    spec = BlockSpec(in_channels=8, out_channels=16, stride=1, kernel_size=3, expand_ratio=1)
    assert block_macs(spec, in_size=4) == MacsBreakdown(conv=8 * 16 * 16, depthwise=8 * 9 * 16)
    assert block_params(spec) == (8 * 9 + 16) + (8 * 16 + 32)


def test_light_nl_on_an_odd_map_by_hand() -> None:
    # 5 x 5 = 25 positions; every second row and column of 5 is 3 of them: r = 9 (not 2 x 2); 4 of 16 channels compact.
    # Order 1 is 25 * 9 * (4 + 16) = 4,500; order 2 is (25 + 9) * 16 * 4 = 2,176.
    macs = light_nl_macs(channels=16, size=5, spec=LightNLSpec(nl_ratio=0.25, nl_stride=2))
    assert macs == MacsBreakdown(light_nl=2_176, depthwise=9 * 16 * 25)


def test_the_classic_block_by_hand() -> None:
    # 3 x 3 = 9 positions, 4 channels inside 2: theta, phi, g, W_z 9*4*2 each; the two products 9*9*2 each
    assert non_local_macs(channels=4, size=3, inner_channels=2) == 4 * 72 + 2 * 162
    assert non_local_macs(channels=4, size=3) == 4 * 144 + 2 * 324


def test_a_hidden_layer_and_a_fractional_expansion_by_hand() -> None:
    # 10 channels times 2.5 are 25, rounded to 24; the hidden layer has 64 * 16 weights, the classifier 16 * 10
    spec = BlockSpec(in_channels=10, out_channels=10, stride=1, kernel_size=3, expand_ratio=2.5)
    assert block_macs(spec, in_size=2) == MacsBreakdown(conv=10 * 24 * 4 + 24 * 10 * 4, depthwise=24 * 9 * 4)
    assert head_macs(40, 64, 10, 1, hidden_channels=16).linear == 64 * 16 + 16 * 10
    with_hidden, without = replace(network(spec), hidden_channels=16), network(spec)
    assert count_params(with_hidden) - count_params(without) == (64 * 16 + 16) + 16 * 10 - 64 * 10


def test_light_nl_takes_the_other_order_where_that_is_cheaper() -> None:
    # 4 positions, 1 sampled: order 1 is 4 * 1 * (64 + 64) = 512; order 2 is (4 + 1) * 64 * 64 = 20,480.
    assert light_nl_macs(channels=64, size=2, spec=LightNLSpec(1.0, 2)).light_nl == 512


def test_light_nl_is_counted_on_the_block_s_output() -> None:
    plain = BlockSpec(in_channels=8, out_channels=16, stride=2, kernel_size=3, expand_ratio=3)
    with_nl = BlockSpec(8, 16, 2, 3, 3, light_nl=LightNLSpec(0.25, 1))
    added = light_nl_macs(channels=16, size=5, spec=LightNLSpec(0.25, 1))
    assert block_macs(with_nl, in_size=9) == block_macs(plain, in_size=9) + added
    assert block_params(with_nl) - block_params(plain) == 16 * 9 + 2 * 16  # depthwise 3x3 and its normalisation


def test_head_by_hand() -> None:
    # 2 x 2 map: 40 * 128 * 4 for the convolution, 128 * 4 pooled, 128 * 10 classified
    assert head_macs(in_channels=40, head_channels=128, num_classes=10, size=2) == MacsBreakdown(
        conv=20_480, head_pool=512, linear=1_280
    )


def test_a_whole_network_by_hand() -> None:
    # 32 pixels -> stem (stride 1) 32 -> block (stride 2) 16 -> head
    arch = network(BlockSpec(in_channels=8, out_channels=8, stride=2, kernel_size=3, expand_ratio=1))
    stem = 3 * 9 * 8 * 1024
    depthwise, project = 8 * 9 * 256, 8 * 8 * 256
    head, pool, linear = 8 * 64 * 256, 64 * 256, 64 * 10
    assert block_sizes(arch) == [32, 16]
    assert count_macs(arch).total == stem + depthwise + project + head + pool + linear
    # stem 27*8 + BN 16; depthwise 8*9 + BN 16; project 8*8 + BN 16; head 8*64 + BN 128; classifier 64*10 + 10
    assert count_params(arch) == 232 + 88 + 80 + 640 + 650


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_agree_in_every_column(name: str) -> None:
    arch = decode(PUBLISHED[name])
    expected = dict(REFERENCE[name])
    assert count_params(arch) == expected.pop("params")
    assert count_macs(arch).total == expected.pop("total")
    assert asdict(count_macs(arch)) == expected


@given(arch_specs())
def test_the_total_is_the_sum_of_stem_blocks_and_head(arch: ArchSpec) -> None:
    sizes = block_sizes(arch)
    parts = [stem_macs(arch.stem_channels, arch.stem_stride, arch.resolution)]
    parts += [block_macs(spec, size) for spec, size in zip(arch.blocks, sizes[:-1], strict=True)]
    width = arch.blocks[-1].out_channels
    parts.append(head_macs(width, arch.head_channels, arch.num_classes, sizes[-1], arch.hidden_channels))
    assert count_macs(arch).total == sum(part.total for part in parts)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ({"kernel_size": 3}, {"kernel_size": 5}),
        ({"expand_ratio": 3}, {"expand_ratio": 6}),
        ({}, {"light_nl": LightNLSpec(0.125, 2)}),
        ({"light_nl": LightNLSpec(0.125, 2)}, {"light_nl": LightNLSpec(0.25, 2)}),
        ({"light_nl": LightNLSpec(0.125, 2)}, {"light_nl": LightNLSpec(0.125, 1)}),
    ],
)
def test_every_larger_choice_of_the_search_costs_more(smaller: dict[str, Any], larger: dict[str, Any]) -> None:
    assert block_macs(block(16, 16, **smaller), 8).total < block_macs(block(16, 16, **larger), 8).total
