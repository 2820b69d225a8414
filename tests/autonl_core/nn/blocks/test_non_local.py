"""The classic non-local block: its equation, its cost, and how many times LightNL's it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autonl_core.nn.blocks.non_local import NonLocal
from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.macs import light_nl_macs, non_local_macs


@pytest.mark.parametrize("softmax", [True, False])
def test_the_block_is_that_of_the_equation(softmax: bool) -> None:
    block = NonLocal(6, 4, softmax=softmax).double().eval()
    nn.init.ones_(block.norm.weight)
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    theta, phi, g = block.theta(x), block.phi(x), block.g(x)
    affinity = torch.einsum("bchw,bcij->bhwij", theta, phi)
    affinity = affinity.flatten(3).softmax(3).view(2, 3, 5, 3, 5) if softmax else affinity / 15
    y = torch.einsum("bhwij,bcij->bchw", affinity, g)
    assert torch.allclose(block(x), x + block.norm(block.w_z(y)))


def test_a_fresh_block_is_the_identity() -> None:
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(NonLocal(8)(x), x)


@pytest.mark.parametrize(("channels", "size", "inner"), [(24, 14, 24), (40, 7, 20)])
def test_its_macs_are_those_that_pytorch_counts(channels: int, size: int, inner: int) -> None:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        NonLocal(channels, inner).eval()(torch.zeros(1, channels, size, size))
    assert counter.get_total_flops() == 2 * non_local_macs(channels, size, inner)


def test_the_400_times_of_the_paper_hold_on_large_maps_only() -> None:
    def ratio(channels: int, size: int, stride: int = 1) -> float:
        return non_local_macs(channels, size) / light_nl_macs(channels, size, LightNLSpec(0.25, stride)).total

    # 56 x 56, 24 channels, per position: 4 * 24 * 24 + 2 * 24 * 3,136 over 9 * 24 + 2 * 24 * 6
    assert ratio(24, 56) == pytest.approx(152_832 / 504)
    assert 300 < ratio(24, 56) < ratio(24, 56, stride=2) < 400
    assert ratio(16, 112) > 1000
    assert ratio(320, 7) < 20  # 49 positions: here order 1 is the cheaper, 49 * 49 * (80 + 320) MACs
