"""Networks: what is built costs and weighs what was computed on paper, and works at any resolution."""

from __future__ import annotations

import random

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from autonl_core.arch_string import decode
from autonl_core.blocks.mbconv import MBConv
from autonl_core.macs import count_macs, count_params
from autonl_core.network import build_network
from autonl_core.profile import count_live_macs, count_live_params
from autonl_core.search_space import get_space
from tests.autonl_core.architectures import AUTONL_S


@pytest.mark.parametrize(("name", "resolution"), [("tiny", 8), ("tiny", 11), ("mobile-32", 32), ("mobile-32", 37)])
def test_macs_counted_on_the_live_network_equal_the_analytic_ones(name: str, resolution: int) -> None:
    space, rng = get_space(name, resolution, 7), random.Random(0)
    for arch in [space.smallest(), space.largest()] + [space.sample(rng) for _ in range(4)]:
        network = build_network(arch)
        assert count_live_macs(network, resolution) == count_macs(arch).total
        assert count_live_params(network) == count_params(arch)


def test_the_published_network_costs_what_was_published_on_the_live_module_too() -> None:
    network = build_network(decode(AUTONL_S))
    assert count_live_macs(network, 224) == 266_878_784
    assert count_live_params(network) == 4_389_350


def test_pytorch_alone_counts_all_but_the_poolings() -> None:
    arch = get_space("tiny", 8, 10).largest()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        build_network(arch).eval()(torch.zeros(1, 3, 8, 8))
    macs = count_macs(arch)
    assert counter.get_total_flops() == 2 * (macs.total - macs.se_pool - macs.head_pool)


@pytest.mark.parametrize("resolution", [8, 9, 16, 31])
def test_any_resolution_and_class_count_give_logits_of_the_right_shape(resolution: int) -> None:
    network = build_network(get_space("tiny", 8, 3).largest()).eval()
    assert network(torch.zeros(2, 3, resolution, resolution)).shape == (2, 3)


def test_equal_seeds_build_equal_networks() -> None:
    arch = get_space("tiny", 8, 10).largest()
    first, second, other = (build_network(arch, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_every_weight_learns_once_light_nl_is_open() -> None:
    network = build_network(get_space("tiny", 8, 10).largest()).train()
    for block in network.blocks:
        assert isinstance(block, MBConv)
        if block.light_nl is not None:
            torch.nn.init.ones_(block.light_nl.norm.weight)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network(x).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
