"""LightNL: one equation, two orders, and the identity to begin with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autonl_core.nn.blocks.light_nl import LightNL, light_nl_product
from autonl_core.nn.blocks.light_nl_function import NormalisedProduct, Settings
from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.macs import light_nl_macs
from benchmarks.harness import saved_bytes
from benchmarks.straightforward import PlainLightNL


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
        y = light_nl_product(x.contiguous(memory_format=layout), int(ratio * channels), stride, size * size)
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


SHAPES = [(24, 56, 0.25, 1), (40, 28, 0.25, 2), (80, 14, 0.25, 1), (192, 7, 0.125, 1)]


@pytest.mark.parametrize(("channels", "size", "ratio", "stride"), SHAPES)
def test_training_keeps_seven_tenths_of_what_the_straightforward_block_keeps(
    channels: int, size: int, ratio: float, stride: int
) -> None:
    spec = LightNLSpec(ratio, stride)
    x = torch.randn(4, channels, size, size)
    plain = saved_bytes(PlainLightNL(channels, spec).train(), x.clone().requires_grad_())
    ours = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    assert saved_bytes(LightNL(channels, spec).train(), ours) <= 0.7 * plain


@pytest.mark.parametrize(("channels", "size", "ratio", "stride"), [*SHAPES, (16, 9, 0.25, 2), (96, 3, 0.25, 2)])
def test_a_training_step_is_that_of_the_straightforward_block(
    channels: int, size: int, ratio: float, stride: int
) -> None:
    spec = LightNLSpec(ratio, stride)
    ours, plain = LightNL(channels, spec).double().train(), PlainLightNL(channels, spec).double().train()
    nn.init.uniform_(ours.norm.weight, 0.5, 1.5)
    nn.init.normal_(ours.norm.bias)
    plain.load_state_dict(ours.state_dict())
    x, upstream = (torch.randn(3, channels, size, size, dtype=torch.float64) for _ in range(2))
    first, second = x.contiguous(memory_format=torch.channels_last).requires_grad_(), x.clone().requires_grad_()
    z, expected = ours(first), plain(second)
    z.backward(upstream)
    expected.backward(upstream)
    assert torch.allclose(z, expected)
    assert first.grad is not None
    assert second.grad is not None
    assert torch.allclose(first.grad, second.grad)
    for (key, p), q in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert p.grad is not None
        assert torch.allclose(p.grad, q.grad if q.grad is not None else torch.empty(0)), key
    for (key, own), (_, its) in zip(ours.named_buffers(), plain.named_buffers(), strict=True):
        assert torch.allclose(own.double(), its.double()), key  # the running statistics moved alike


@pytest.mark.parametrize(("size", "stride", "divisor"), [(4, 1, 16.0), (5, 2, 25.0), (5, 2, 1.0), (3, 1, 9.0)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradcheck(size: int, stride: int, divisor: float, layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, size, size, dtype=torch.float64, generator=generator).contiguous(memory_format=layout)
    kernel = torch.randn(8, 1, 3, 3, dtype=torch.float64, generator=generator)
    scale, shift = torch.rand(2, 8, dtype=torch.float64, generator=generator)
    settings = Settings(2, stride, divisor, 1e-3)
    inputs = [t.requires_grad_() for t in (x, kernel, scale, shift)]

    def function(x: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return NormalisedProduct.apply(x, kernel, scale, shift, None, None, 0.0, settings)

    assert torch.autograd.gradcheck(function, inputs)


def test_the_gradient_from_above_is_left_as_it_was() -> None:
    block = LightNL(16, LightNLSpec(0.25, 1)).train()
    x = torch.randn(2, 16, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    upstream = torch.randn(2, 16, 6, 6).contiguous(memory_format=torch.channels_last)
    before = upstream.clone()
    block(x).backward(upstream)
    assert torch.equal(upstream, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_mixed_precision_trains(dtype: torch.dtype) -> None:
    block, x = LightNL(16, LightNLSpec(0.25, 1)).train(), torch.randn(4, 16, 8, 8, requires_grad=True)
    nn.init.ones_(block.norm.weight)
    with torch.autocast("cpu", dtype=dtype):
        block(x).float().square().mean().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert block.depthwise.weight.grad is not None
    assert block.depthwise.weight.grad.any()


def test_in_mixed_precision_it_keeps_its_own_backward_pass() -> None:
    block, x = LightNL(16, LightNLSpec(0.25, 1)).train(), torch.randn(8, 16, 8, 8)
    nn.init.ones_(block.norm.weight)
    found = []
    for mixed in (False, True):
        given = x.clone().requires_grad_()
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            z = block(given)
        assert z.grad_fn is not None
        assert z.grad_fn.name() == "NormalisedProductBackward"
        z.float().square().mean().backward()
        found.append(
            torch.cat([g.flatten() for g in (given.grad, *(p.grad for p in block.parameters())) if g is not None])
        )
    full, short = found
    assert full.dtype == short.dtype == torch.float32
    assert torch.cosine_similarity(full, short, dim=0) >= 0.999


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_move_as_batch_norm_s_own(momentum: float | None) -> None:
    block = LightNL(8, LightNLSpec(0.25, 1)).train()
    block.norm.momentum = momentum
    expected = nn.BatchNorm2d(8, eps=1e-3, momentum=momentum)
    for _ in range(3):
        x = torch.randn(4, 8, 5, 5)
        block(x)
        expected(block.depthwise(light_nl_product(x, 2, 1, 25)))
    for ours, its in zip(block.norm.buffers(), expected.buffers(), strict=True):
        assert torch.allclose(ours, its, rtol=1e-5)


def test_divisors() -> None:
    x = torch.randn(2, 8, 6, 3, dtype=torch.float64)
    blocks = [LightNL(8, LightNLSpec(0.25, 1, divisor)).double().eval() for divisor in ("positions", "aspect")]
    for block in blocks:
        nn.init.ones_(block.norm.weight)
        block.depthwise.load_state_dict(blocks[0].depthwise.state_dict())
    by_positions, by_aspect = (block(x) - x for block in blocks)
    assert torch.allclose(by_aspect, by_positions * (6 * 3) / (6 / 3))


def test_a_trained_block_adds_a_normalised_depthwise_convolution_of_the_product() -> None:
    block = LightNL(16, LightNLSpec(0.25, 2)).double().train()
    nn.init.ones_(block.norm.weight)
    x = torch.randn(4, 16, 6, 6, dtype=torch.float64)
    convolved = block.depthwise(by_the_equation(x, 4, 2))
    mean, variance = convolved.mean((0, 2, 3), keepdim=True), convolved.var((0, 2, 3), unbiased=False, keepdim=True)
    assert torch.allclose(block(x), x + (convolved - mean) / (variance + 1e-3).sqrt())
