"""Architectures aligned layer by layer: by hand, and for any two networks of a space."""

from __future__ import annotations

import random

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.side_by_side.layers import aligned_layers, block_summary, stages_of

ENDS = "in32 | cn_k3_s1_c16 | {} | cn_k1_s1_c64 | fc10"
ONE = decode(ENDS.format("ds_r1_k3_s2_c16 | ir_r1_k5_s1_e3_c24_nl0.25-2 ir_r1_k3_s1_e3_c24"))
OTHER = decode(ENDS.format("ds_r1_k3_s2_c16 | ir_r1_k3_s1_e3_c24"))


def test_blocks_of_the_same_stage_stand_beside_each_other() -> None:
    aligned = aligned_layers([ONE, OTHER])
    assert [(layers.place, layers.equal) for layers in aligned] == [
        ("stem", True),
        ("stage 1 block 1", True),
        ("stage 2 block 1", False),
        ("stage 2 block 2", False),
        ("head", True),
    ]
    both, alone = aligned[2].layers, aligned[3].layers
    assert [layer and layer.notation for layer in both] == ["ir_r1_k5_s1_e3_c24_nl0.25-2", "ir_r1_k3_s1_e3_c24"]
    assert both[0] is not None
    assert both[0].summary == "MBConv 5×5, expand 3, LightNL ratio 0.25, stride 2"
    assert (both[0].out_channels, both[0].out_size) == (24, 16)
    assert alone[0] is not None
    assert alone[0].summary == "MBConv 3×3, expand 3, skip"
    assert alone[1] is None
    # 24 x 72 twice at 16 x 16, 9 x 72 of the depthwise convolution
    assert alone[0].macs == 16 * 16 * (2 * 24 * 72 + 9 * 72)


def test_the_same_block_on_larger_maps_is_another_one() -> None:
    aligned = aligned_layers([OTHER, decode(ENDS.replace("in32", "in64").format("ds_r1_k3_s2_c16"))])
    assert [(layers.place, layers.equal) for layers in aligned][:2] == [("stem", False), ("stage 1 block 1", False)]


def test_a_search_without_an_architecture_makes_nothing_unequal() -> None:
    aligned = aligned_layers([OTHER, None, OTHER])
    assert all(layers.equal and layers.layers[1] is None for layers in aligned)
    assert aligned_layers([None, None]) == []


def test_the_head_says_what_it_has() -> None:
    hidden = decode("in32 | cn_k3_s2_c8 | ds_r1_k3_s1_c8 | cn_k1_s1_c64 fc100 | fc10")
    head = aligned_layers([hidden])[-1].layers[0]
    assert head is not None
    assert head.summary == "conv 1×1 to 64, global average pooling, linear to 100, linear to 10"
    assert (head.notation, head.out_size) == ("cn_k1_s1_c64 fc100 | fc10", 1)
    assert head.macs == 16 * 16 * 64 * (8 + 1) + 64 * 100 + 100 * 10
    stem = aligned_layers([hidden])[0].layers[0]
    assert stem is not None
    assert (stem.summary, stem.notation, stem.out_channels) == ("conv 3×3, stride 2", "cn_k3_s2_c8", 8)


def test_a_block_in_words() -> None:
    (block,) = decode(ENDS.format("ir_r1_k3_s2_e6_c16_se0.25")).blocks
    assert block_summary(block) == "MBConv 3×3, expand 6, stride 2, SE 0.25"


@pytest.mark.parametrize("seed", range(8))
def test_layers_add_up_to_their_network_and_every_block_stands_once(seed: int) -> None:
    space, draws = resolve_space(SearchConfig(dataset="digits", flops_budget=400_000), DIGITS), random.Random(seed)
    networks = [space.sample(draws) for _ in range(3)]
    aligned = aligned_layers(networks)
    for place, network in enumerate(networks):
        layers = [each.layers[place] for each in aligned]
        present = [layer for layer in layers if layer is not None]
        assert sum(layer.macs for layer in present) == count_macs(network).total
        assert sum(layer.params for layer in present) == count_params(network)
        assert len(present) == len(network.blocks) + 2
    assert all(each.equal for each in aligned_layers([networks[0]] * 2))
    assert all(each.equal for each in aligned) == (len(set(networks)) == 1)


def test_stages_begin_where_the_width_or_the_size_changes() -> None:
    assert [len(blocks) for blocks in stages_of(ONE)] == [1, 2]
    network: ArchSpec = decode(ENDS.format("ds_r2_k3_s2_c16 | ir_r1_k3_s2_e3_c16"))
    assert [len(blocks) for blocks in stages_of(network)] == [2, 1]
