"""Depthwise convolution whose weight gradient is fast for every kernel and every map."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from autonl_core.nn.blocks.on_cpu import as_rows, number_like, runs_kernels
from autonl_core.nn.blocks.padding import first_window, pad
from autonl_core.spec.arch import Padding

# oneDNN's weight gradient is the faster one for kernels up to 3x3 that make maps of at least 3x3; elsewhere it takes
# two to a hundred times as long.
_FAST_IN_ONEDNN = 3
_PARTS = 8  # of a batch, whose sums are added up in order: the same for any number of threads


def depthwise_conv(x: Tensor, weight: Tensor, stride: int, padding: Padding = "symmetric") -> Tensor:
    """(B, C, H, W), (C, 1, k, k) -> (B, C, ceil(H / stride), ceil(W / stride))."""
    if (
        torch.is_grad_enabled()
        and weight.requires_grad
        and runs_kernels(x)
        and not _is_fast_in_onednn(x, weight, stride)
    ):
        return _DepthwiseConv.apply(x, weight, stride, padding)
    return _convolve(x, weight, stride, padding)


def depthwise_gradients(
    x: Tensor, weight: Tensor, out_grad: Tensor, stride: int, padding: Padding = "symmetric", *, of_x: bool = True
) -> tuple[Tensor | None, Tensor]:
    """Gradients of x, if asked for, and of the weight; `out_grad` is channels_last."""
    if not runs_kernels(x) or _is_fast_in_onednn(x, weight, stride):
        return _library_gradients(x, weight, out_grad, stride, padding, of_x=of_x, of_weight=True)
    x_grad = _library_gradients(x, weight, out_grad, stride, padding, of_x=True, of_weight=False)[0] if of_x else None
    x, out_grad = _padded_symmetrically(x, weight, out_grad, stride, padding)
    return x_grad, _weight_gradient(x, weight, out_grad, stride)


class _DepthwiseConv(torch.autograd.Function):
    """(x, weight, stride, padding) -> the convolution. No second derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: Padding) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return _convolve(x, weight, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out_grad: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        out_grad = out_grad.contiguous(memory_format=torch.channels_last)
        of_x = ctx.needs_input_grad[0]
        return *depthwise_gradients(x, weight, out_grad, ctx.stride, ctx.padding, of_x=of_x), None, None


def _convolve(x: Tensor, weight: Tensor, stride: int, padding: Padding) -> Tensor:
    padded, margin = pad(x, weight.shape[-1], stride, padding)
    return F.conv2d(padded, weight, None, stride, margin, groups=x.shape[1])


def _is_fast_in_onednn(x: Tensor, weight: Tensor, stride: int) -> bool:
    smallest_side = -(-min(x.shape[2:]) // stride)  # of the map that comes out
    return weight.shape[-1] <= _FAST_IN_ONEDNN <= smallest_side


def _library_gradients(
    x: Tensor, weight: Tensor, out_grad: Tensor, stride: int, padding: Padding, *, of_x: bool, of_weight: bool
) -> tuple[Any, Any]:
    padded, margin = pad(x, weight.shape[-1], stride, padding)
    asked_for = [of_x, of_weight, False]
    x_grad, weight_grad, _ = torch.ops.aten.convolution_backward(
        out_grad, padded, weight, None, [stride] * 2, [margin] * 2, [1, 1], False, [0, 0], x.shape[1], asked_for
    )
    if padded is not x and of_x:
        top, left = first_window(x, weight.shape[-1], stride, padding)
        x_grad = x_grad[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return x_grad, weight_grad


def _padded_symmetrically(
    x: Tensor, weight: Tensor, out_grad: Tensor, stride: int, padding: Padding
) -> tuple[Tensor, Tensor]:
    """Maps of which a symmetrically padded convolution has the same weight gradient.

    SAME windows of an even map begin one position later than symmetric ones. With one more row of zeros above, these
    are the windows from the second on, and nothing comes from the first.
    """
    size = weight.shape[-1]
    top, left = (size // 2 - first for first in first_window(x, size, stride, padding))
    if top == left == 0:
        return x, out_grad
    return F.pad(x, (left, 0, top, 0)), F.pad(out_grad, (left, 0, top, 0))


def _weight_gradient(x: Tensor, weight: Tensor, out_grad: Tensor, stride: int) -> Tensor:
    from autonl_core.nn.kernels.depthwise import weight_gradient

    x, out_grad = as_rows(x), as_rows(out_grad)
    size, channels = weight.shape[-1], x.shape[1]
    images = -(-x.shape[0] // _PARTS)
    result = x.new_empty((size, size, channels))
    sums = x.new_empty((-(-x.shape[0] // images), size, size, channels))
    addresses = (t.data_ptr() for t in (x, out_grad, result, sums))
    numbers = *addresses, len(x), *x.shape[2:], channels, size, stride, images
    weight_gradient(torch.get_num_threads(), out_grad.numel(), numbers, number_like(x))
    return result.permute(2, 0, 1).unsqueeze(1)  # (C, 1, k, k)
