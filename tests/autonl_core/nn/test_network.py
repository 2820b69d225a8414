"""Networks: what is built costs and weighs what was computed on paper, and works at any resolution."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from autonl_core.nn import network as network_module
from autonl_core.nn.blocks.conv import folded_weights
from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.profile import count_live_macs, count_live_params
from autonl_core.spec.arch import ArchSpec, LightNLSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.space_families import get_space
from autonl_core.spec.zoo import ZOO, adapt
from tests.autonl_core.sample_architectures import AUTONL_S, arch_specs, block
from tests.autonl_core.sample_architectures import network as network_of


@pytest.mark.parametrize(("name", "resolution"), [("tiny", 8), ("tiny", 11), ("mobile-32", 32), ("mobile-32", 37)])
def test_macs_counted_on_the_live_network_equal_the_analytic_ones(name: str, resolution: int) -> None:
    space, rng = get_space(name, resolution, 7), random.Random(0)
    for arch in [space.smallest(), space.largest()] + [space.sample(rng) for _ in range(4)]:
        network = build_network(arch)
        assert count_live_macs(network, resolution) == count_macs(arch)
        assert count_live_params(network) == count_params(arch)


def test_the_published_network_costs_what_was_published_on_the_live_module_too() -> None:
    network = build_network(decode(AUTONL_S))
    assert count_live_macs(network, 224).total == 266_878_784
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


def trained(arch: ArchSpec) -> Network:
    """A network whose batch norms have seen something, LightNL's included, and whose weights are no longer at rest."""
    network = build_network(arch, seed=0).train()
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(8, 3, arch.resolution, arch.resolution, generator=generator))
    return network.eval()


EVERY_KIND = network_of(
    block(8, 16, stride=2, se_ratio=0.25, light_nl=LightNLSpec(0.25, 1)),
    block(16, 16, light_nl=LightNLSpec(0.25, 2), se_ratio=1.5, se_gate="hard_sigmoid", activation="hard_swish"),
    block(16, 24, kernel_size=5, activation="relu6", expand_ratio=1),
    block(24, 24, activation="relu", stride=2, expand_ratio=2.5, light_nl=LightNLSpec(1.0, 2, "aspect")),
)


@pytest.mark.parametrize(
    "arch",
    [
        EVERY_KIND,
        adapt(ZOO["autonl_s"].arch, resolution=64, num_classes=9),
        *(
            pytest.param(adapt(net.arch, resolution=64, num_classes=9), id=net.name, marks=pytest.mark.long)
            for net in ZOO.values()
        ),
    ],
)
@torch.no_grad()
def test_a_fused_network_computes_the_same_without_batch_norms(arch: ArchSpec) -> None:
    network = trained(arch).double()  # in single precision, rounding alone reaches 1e-5
    fused = network.fuse()
    assert [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)] == []
    assert not any(p.requires_grad for p in fused.parameters())
    for batch in (1, 3):
        x = torch.randn(batch, 3, arch.resolution, arch.resolution, dtype=torch.float64)
        expected = network(x)
        assert (fused(x) - expected).abs().max() <= 1e-12 * expected.abs().max()
        with torch.enable_grad():  # each batch norm alone, as training would see it
            unfolded = network(x)
        assert (unfolded - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_fusing_leaves_the_network_as_it_was() -> None:
    network = trained(EVERY_KIND)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.fuse()
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_folding_agrees_with_pytorch_s_own() -> None:
    layer = trained(EVERY_KIND).stem
    weight, bias = folded_weights(layer.conv, layer.norm)
    expected = fuse_conv_bn_eval(layer.conv, layer.norm)
    assert expected.bias is not None
    assert torch.allclose(weight, expected.weight, rtol=1e-6)
    assert torch.allclose(bias, expected.bias, rtol=1e-5, atol=1e-7)


def watch_runs(monkeypatch: pytest.MonkeyPatch, seen: list[tuple[int, int]]) -> None:
    """Note how many layers are run on how many images."""
    run = network_module._run

    def watched(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
        seen.append((len(layers), len(x)))
        return run(layers, x)

    monkeypatch.setattr(network_module, "_run", watched)


@torch.no_grad()
def test_large_maps_run_in_parts_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    arch = network_of(block(8, 16, stride=2), block(16, 16, stride=2), block(16, 16))
    network, x = trained(arch), torch.randn(7, 3, 32, 32)
    sizes: list[tuple[int, int]] = []
    whole = network(x)
    watch_runs(monkeypatch, sizes)
    largest = 24 * 32 * 32 * 4  # bytes for one image: 8 channels tripled; then 48 at half the size, 48 at a quarter
    monkeypatch.setattr(network_module, "_MAX_MAP_BYTES", 2 * largest)
    assert torch.allclose(network(x), whole, rtol=1e-5, atol=1e-6)
    # stem, block 0 and block 1 on 2, 2, 2 and 1 images; the maps of block 2 are small enough for all 7
    assert sizes == [(3, 2), (3, 2), (3, 2), (3, 1), (1, 7)]
    network.blocks[0].register_forward_hook(lambda _, __, ___: None)
    network(x)
    assert sizes[5:] == [(4, 7)]  # a hook gets to see the whole batch


def test_training_never_runs_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_module, "_MAX_MAP_BYTES", 1)
    network = build_network(EVERY_KIND).train()
    sizes: list[tuple[int, int]] = []
    watch_runs(monkeypatch, sizes)
    with torch.no_grad():
        network(torch.randn(5, 3, 32, 32))
    assert sizes == [(5, 5)]  # batch norms must see the whole batch


@torch.no_grad()
def test_batch_norms_can_be_calibrated_alone() -> None:
    network = trained(EVERY_KIND)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()  # the network itself stays in evaluation mode, as the published training code has it
    for _ in range(3):
        network(torch.randn(8, 3, 32, 32))
    assert [int(norm.num_batches_tracked or 0) for norm in norms] == [3] * len(norms)


def test_frozen_batch_norms_stay_frozen_in_training() -> None:
    network = trained(EVERY_KIND).train()
    norms = [m.eval() for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.state_dict()["running_mean"].clone() for norm in norms]
    network(torch.randn(8, 3, 32, 32)).sum().backward()
    assert all(torch.equal(norm.state_dict()["running_mean"], mean) for norm, mean in zip(norms, before, strict=True))


@settings(max_examples=25)
@given(arch_specs())
def test_any_architecture_runs_alone_in_a_batch_and_fused(arch: ArchSpec) -> None:
    small = replace(arch, resolution=min(arch.resolution, 24))
    network = build_network(small, seed=0).eval()
    x = torch.randn(2, 3, small.resolution, small.resolution)
    with torch.no_grad():
        both, one, fused = network(x), network(x[:1]), network.fuse()(x[:1])
    assert torch.allclose(both[:1], one, rtol=1e-3, atol=1e-4 * float(both.abs().max()))
    assert torch.allclose(fused, one, rtol=1e-3, atol=1e-4 * float(both.abs().max()))
    # in total: a depthwise convolution of one channel cannot be told from an ordinary one
    assert count_live_macs(network, small.resolution).total == count_macs(small).total


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own compiler does it
@pytest.mark.long
def test_the_whole_network_compiles_without_a_break() -> None:
    network, x = trained(EVERY_KIND), torch.randn(2, 3, 32, 32)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert torch.allclose(compiled(x), network(x), rtol=1e-5, atol=1e-6)
    network.train()
    expected, found = network(x).sum(), torch.compile(network, backend="aot_eager", fullgraph=True)(x).sum()
    assert torch.allclose(expected, found, rtol=1e-4)
    found.backward()
    assert network.stem.conv.weight.grad is not None


def test_equal_seeds_build_equal_networks() -> None:
    arch = get_space("tiny", 8, 10).largest()
    first, second, other = (build_network(arch, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_every_weight_learns_once_light_nl_is_open() -> None:
    network = build_network(get_space("tiny", 8, 10).largest()).train()
    for layer in network.blocks:
        assert isinstance(layer, MBConv)
        if layer.light_nl is not None:
            torch.nn.init.ones_(layer.light_nl.norm.weight)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network(x).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
