"""Depthwise convolution: the same as PyTorch's, with a weight gradient of our own where that is the faster one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autonl_core.nn.blocks.depthwise import depthwise_conv
from autonl_core.spec.arch import Padding


def sample(size: int, side: int = 6, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, side, side + 1, dtype=dtype, generator=random).contiguous(memory_format=torch.channels_last)
    return x.requires_grad_(), torch.randn(4, 1, size, size, dtype=dtype, generator=random).requires_grad_()


LARGE = [(3, 6), (3, 5), (5, 6), (5, 5), (7, 4)]


@pytest.mark.parametrize(
    ("size", "side"),
    [(3, 2), (3, 3), (5, 1), (5, 2), *(pytest.param(*sizes, marks=pytest.mark.long) for sizes in LARGE)],
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_gradients_are_those_of_finite_differences(size: int, side: int, stride: int, padding: Padding) -> None:
    """Maps are one column wider than high: one of the two is even."""
    assert torch.autograd.gradcheck(lambda x, w: depthwise_conv(x, w, stride, padding), sample(size, side))


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("side", [2, 7, 8])
def test_gradients_in_single_precision_are_those_of_plain_operators(size: int, side: int) -> None:
    x, weight = sample(size, side, dtype=torch.float32)
    total = {8: size - 2, 7: size - 1, 2: size - 2}  # zeros that TensorFlow's SAME adds to so many rows or columns
    rows, columns = total[side], total.get(side + 1, size - 1)
    margins = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    plain = F.conv2d(F.pad(x.double(), margins), weight.double(), None, 2, groups=4)
    ours = depthwise_conv(x, weight, 2, "same")
    torch.testing.assert_close(ours.double(), plain, rtol=1e-5, atol=1e-5)
    grad = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1))
    expected = torch.autograd.grad(plain, (x, weight), grad.double())
    for found, exact in zip(torch.autograd.grad(ours, (x, weight), grad), expected, strict=True):
        torch.testing.assert_close(found, exact.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_result_is_that_of_pytorch(stride: int) -> None:
    x, weight = sample(5, dtype=torch.float32)
    assert torch.equal(depthwise_conv(x, weight, stride), F.conv2d(x, weight, None, stride, 2, groups=4))


def test_no_gradient_of_the_map_is_computed_where_nobody_asks_for_it() -> None:
    x, weight = sample(5)
    depthwise_conv(x.detach(), weight, 1).sum().backward()
    assert weight.grad is not None
    assert x.grad is None
