"""Depthwise convolution: the same as PyTorch's, with a weight gradient of our own where that is the faster one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autonl_core.nn.blocks.depthwise import depthwise_conv


def sample(size: int, side: int = 6, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, side, side + 1, dtype=dtype, generator=random).contiguous(memory_format=torch.channels_last)
    return x.requires_grad_(), torch.randn(4, 1, size, size, dtype=dtype, generator=random).requires_grad_()


@pytest.mark.parametrize(("size", "side"), [(3, 6), (3, 2), (5, 6), (5, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_finite_differences(size: int, side: int, stride: int) -> None:
    assert torch.autograd.gradcheck(lambda x, w: depthwise_conv(x, w, stride), sample(size, side))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_result_is_that_of_pytorch(stride: int) -> None:
    x, weight = sample(5, dtype=torch.float32)
    assert torch.equal(depthwise_conv(x, weight, stride), F.conv2d(x, weight, None, stride, 2, groups=4))


def test_no_gradient_of_the_map_is_computed_where_nobody_asks_for_it() -> None:
    x, weight = sample(5)
    depthwise_conv(x.detach(), weight, 1).sum().backward()
    assert weight.grad is not None
    assert x.grad is None
