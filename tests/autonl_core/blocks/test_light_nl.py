"""LightNL: one equation, two orders, and the identity to begin with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autonl_core.arch import LightNLSpec
from autonl_core.blocks.light_nl import LightNL, light_nl_product
from autonl_core.macs import light_nl_macs


def by_the_equation(x: Tensor, compact: int, stride: int) -> Tensor:
    """y = x_c x_sc^T x_s / (H W), written out position by position."""
    _, _, height, width = x.shape
    x_s = x[:, :, ::stride, ::stride]
    affinity = torch.einsum("bchw,bcij->bhwij", x[:, :compact], x_s[:, :compact])
    return torch.einsum("bhwij,bdij->bdhw", affinity, x_s) / (height * width)


@pytest.mark.parametrize(
    ("channels", "size", "ratio", "stride"),
    [
        (24, 12, 0.25, 1),  # order 2: (144 + 144) * 24 * 6 < 144 * 144 * 30
        (40, 7, 0.125, 2),  # an odd map: 16 of 49 positions
        (96, 3, 0.25, 2),  # order 1: 9 * 4 * (24 + 96) < (9 + 4) * 96 * 24
        (16, 5, 1.0, 1),
    ],
)
def test_the_product_is_that_of_the_equation(channels: int, size: int, ratio: float, stride: int) -> None:
    x = torch.randn(3, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for layout in (torch.contiguous_format, torch.channels_last):
        y = light_nl_product(x.contiguous(memory_format=layout), int(ratio * channels), stride)
        assert torch.allclose(y, by_the_equation(x, int(ratio * channels), stride), rtol=1e-12, atol=1e-14)


def test_both_orders_are_taken_where_they_are_cheaper() -> None:
    # (96 channels, 3x3, .25, 2): order 1 costs 9*4*(24+96) = 4,320, order 2 (9+4)*96*24 = 29,952
    assert light_nl_macs(96, 3, LightNLSpec(0.25, 2)).light_nl == 4_320
    # (24 channels, 12x12, .25, 1): order 1 costs 144*144*30 = 622,080, order 2 288*24*6 = 41,472
    assert light_nl_macs(24, 12, LightNLSpec(0.25, 1)).light_nl == 41_472


def test_a_fresh_block_is_the_identity() -> None:
    block = LightNL(16, LightNLSpec(0.25, 1))
    x = torch.randn(4, 16, 6, 6)
    assert torch.equal(block(x), x)


def test_a_trained_block_adds_a_normalised_depthwise_convolution_of_the_product() -> None:
    block = LightNL(16, LightNLSpec(0.25, 2)).double().train()
    nn.init.ones_(block.norm.weight)
    x = torch.randn(4, 16, 6, 6, dtype=torch.float64)
    convolved = block.depthwise(by_the_equation(x, 4, 2))
    mean, variance = convolved.mean((0, 2, 3), keepdim=True), convolved.var((0, 2, 3), unbiased=False, keepdim=True)
    assert torch.allclose(block(x), x + (convolved - mean) / (variance + 1e-3).sqrt())
