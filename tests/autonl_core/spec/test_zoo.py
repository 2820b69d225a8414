"""The zoo: published networks whose figures are ours too, counted three ways."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from autonl_core.errors import ArchError
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.network import build_network
from autonl_core.nn.profile import count_live_macs, count_live_params, count_torch_macs
from autonl_core.spec.arch import ArchSpec, make_divisible
from autonl_core.spec.arch_string import decode, encode
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.macs import block_sizes, count_macs, count_params
from autonl_core.spec.zoo import ZOO, adapt, find_net

REFERENCE = json.loads((Path(__file__).parents[2] / "data" / "published_macs.json").read_text())


LITE = [name for name in ZOO if name.startswith("efficientnet_lite")]


@pytest.mark.parametrize("name", ZOO)
def test_macs_and_parameters_are_the_published_ones(name: str) -> None:
    net = ZOO[name]
    # The authors of EfficientNet-Lite count more; with three operations per value that a convolution puts out,
    # for its batch norm and activation, all three figures are theirs.
    macs = count_macs(net.arch).total + (3 * conv_outputs(net.arch) if name in LITE else 0)
    assert abs(macs - net.macs) <= (0.005 if name in LITE else 0.01) * net.macs
    assert abs(count_params(net.arch) - net.params) <= 0.02 * net.params


def conv_outputs(arch: ArchSpec) -> int:
    """Values that all convolutions put out for one image."""
    sizes = block_sizes(arch)
    values = arch.stem_channels * sizes[0] ** 2 + arch.head_channels * sizes[-1] ** 2
    for block, size, smaller in zip(arch.blocks, sizes, sizes[1:], strict=False):
        expand = block.expanded_channels * size**2 if block.expand_ratio > 1 else 0
        values += expand + (block.expanded_channels + block.out_channels) * smaller**2
    return values


def test_the_lite_networks_scale_depth_and_width_of_their_inner_stages() -> None:
    """By the rules of EfficientNet: repeats times depth, rounded up; widths times width, rounded to 8."""
    for name, resolution, width, depth in zip(LITE, (224, 240, 260), (1.0, 1.0, 1.1), (1.0, 1.1, 1.2), strict=True):
        widths, repeats = [16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1]
        scaled = [1, *(math.ceil(depth * count) for count in repeats[1:-1]), 1]
        expected = [make_divisible(width * c) for c, count in zip(widths, scaled, strict=True) for _ in range(count)]
        arch = ZOO[name].arch
        assert [block.out_channels for block in arch.blocks] == expected
        assert (arch.resolution, arch.stem_channels, arch.head_channels, arch.padding) == (resolution, 32, 1280, "same")
        assert not any(block.se_channels for block in arch.blocks)
        assert {block.activation for block in arch.blocks} == {arch.activation} == {"relu6"}


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("resolution", [pytest.param(224, marks=pytest.mark.long), 97])
def test_formula_layers_and_pytorch_count_alike(name: str, resolution: int) -> None:
    arch = adapt(ZOO[name].arch, resolution=resolution)
    macs, network = count_macs(arch), build_network(arch)
    for version in (network, network.fuse()):
        assert count_live_macs(version, resolution) == macs
        assert count_torch_macs(version, resolution) == macs.total - macs.se_pool - macs.head_pool
    assert count_live_params(network) == count_params(arch)


@pytest.mark.parametrize("name", ["autonl_s", "autonl_l"])
def test_the_autonl_networks_agree_with_the_reference_in_every_column_on_the_live_module(name: str) -> None:
    network, expected = build_network(ZOO[name].arch), dict(REFERENCE[name])
    assert count_live_params(network) == expected.pop("params")
    counted = count_live_macs(network, 224)
    assert counted.total == expected.pop("total")
    assert asdict(counted) == expected


@pytest.mark.parametrize("name", ZOO)
def test_arch_strings_are_written_as_they_are_read(name: str) -> None:
    assert encode(decode(ZOO[name].arch_string)) == ZOO[name].arch_string


@pytest.mark.parametrize("name", ZOO)
def test_every_network_computes_and_learns(name: str) -> None:
    network = build_network(adapt(ZOO[name].arch, resolution=32, num_classes=5), seed=0).train()
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for module in network.modules():
        if isinstance(module, LightNL):
            torch.nn.init.ones_(module.norm.weight)  # at rest, its kernel would not learn in the first step
    network(x).square().sum().backward()
    still = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_mobilenet_v3_squeezes_to_a_quarter_of_the_expanded_width_rounded_to_eight() -> None:
    blocks = [block for block in ZOO["mobilenet_v3_large"].arch.blocks if block.se_channels]
    assert [(b.expanded_channels, b.se_channels) for b in blocks] == [
        (72, 24), (120, 32), (120, 32), (480, 120), (672, 168), (672, 168), (960, 240), (960, 240),
    ]  # fmt: skip


def test_names_that_do_not_exist_are_answered_with_those_that_do() -> None:
    assert find_net("autonl_s") is ZOO["autonl_s"]
    with pytest.raises(ArchError, match=r"no published network 'resnet'; there are: autonl_s, autonl_l, mobilenet_v2"):
        find_net("resnet")


def test_a_search_can_be_compared_with_every_published_network() -> None:
    config = SearchConfig(dataset="digits", flops_budget=300_000, baselines=tuple(ZOO))
    assert config.baselines == tuple(ZOO)
    with pytest.raises(ValidationError, match="autonl_s"):  # and with no other; the message lists them
        SearchConfig(dataset="digits", flops_budget=300_000, baselines=("resnet",))
