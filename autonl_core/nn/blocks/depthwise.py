"""Depthwise convolution whose weight gradient is as fast for 5x5 kernels as for 3x3."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from autonl_core.nn.blocks.on_cpu import array_of, maps_as_array, runs_kernels
from autonl_core.nn.kernels.depthwise import weight_gradient

_FAST_IN_ONEDNN = 3  # kernel size up to which oneDNN's weight gradient is the faster one
_PARTS = 8  # of a batch, whose sums are added up in order: the same for any number of threads


def depthwise_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """(B, C, H, W), (C, 1, k, k) -> (B, C, H', W'), with "same" padding of k // 2."""
    size = weight.shape[-1]
    if size > _FAST_IN_ONEDNN and torch.is_grad_enabled() and weight.requires_grad and runs_kernels(x):
        return _DepthwiseConv.apply(x, weight, stride)
    return F.conv2d(x, weight, None, stride, size // 2, groups=x.shape[1])


class _DepthwiseConv(torch.autograd.Function):
    """(x, weight, stride) -> the convolution. No second derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out_grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        out_grad = out_grad.contiguous(memory_format=torch.channels_last)
        x_grad = _x_gradient(x, weight, out_grad, ctx.stride) if ctx.needs_input_grad[0] else None
        return x_grad, _weight_gradient(x, weight, out_grad, ctx.stride), None


def _x_gradient(x: Tensor, weight: Tensor, out_grad: Tensor, stride: int) -> Tensor:
    margin, none = weight.shape[-1] // 2, [0, 0]
    result: Tensor = torch.ops.aten.convolution_backward(
        out_grad, x, weight, None, [stride] * 2, [margin] * 2, [1, 1], False, none, x.shape[1], [True, False, False]
    )[0]
    return result


def _weight_gradient(x: Tensor, weight: Tensor, out_grad: Tensor, stride: int) -> Tensor:
    size = weight.shape[-1]
    result = x.new_empty((size, size, x.shape[1]))  # (k, k, C)
    images = -(-x.shape[0] // _PARTS)
    arrays = maps_as_array(x), maps_as_array(out_grad)
    weight_gradient(torch.get_num_threads(), out_grad.numel(), *arrays, stride, images, array_of(result))
    return result.permute(2, 0, 1).unsqueeze(1)  # (C, 1, k, k)
