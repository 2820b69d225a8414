"""LightNL's training pass, forward and backward, written for memory: z = x + BN(DWConv3x3(x_c A)), A = x_sc^T x_s / d.

Left to autograd, the block keeps x, the affinity A, y = x_c A and its convolution, and sums four gradients of x that
are each as large as x. Here it keeps x and the convolution; A (unless it is small) and y are made again by one cheap
product each, and every gradient of x is added where the one before it lies.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from autonl_core.nn.blocks.batch_norm import differentiate_map, move_running_statistics, normalise_map
from autonl_core.nn.blocks.depthwise import depthwise_gradients
from autonl_core.nn.blocks.on_cpu import runs_kernels
from autonl_core.nn.kernels import PLAIN, RESIDUAL

_KEPT_SHARE = 8  # A is kept where it is at most an eighth of x


class Settings(NamedTuple):
    """What is no tensor: C', s, the divisor d of the product, and the batch norm's epsilon."""

    compact_channels: int
    nl_stride: int
    divisor: float
    eps: float


def positions_last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, HW, C): a view when `x` is channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def maps_of(y: Tensor, height: int, width: int) -> Tensor:
    """(B, HW, C) -> (B, C, H, W), a channels_last view."""
    return y.view(y.shape[0], height, width, y.shape[2]).permute(0, 3, 1, 2)


def sample_positions(x: Tensor, nl_stride: int) -> Tensor:
    """(B, r, C): every `nl_stride`-th row and column."""
    return positions_last(x if nl_stride == 1 else x[:, :, ::nl_stride, ::nl_stride])


class NormalisedProduct(torch.autograd.Function):
    """(x, kernel, scale, shift, running mean, running variance, momentum, Settings) -> z, in channels-first order.

    Batch statistics normalise; the running ones, unless None, move by `momentum`. No second derivatives.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        kernel: Tensor,
        scale: Tensor,
        shift: Tensor,
        running_mean: Tensor | None,
        running_variance: Tensor | None,
        momentum: float,
        settings: Settings,
    ) -> Tensor:
        x_s = sample_positions(x, settings.nl_stride)  # (B, r, C)
        affinity = _affinity(x_s, settings)  # (B, C', C)
        y = maps_of(torch.bmm(positions_last(x)[:, :, : settings.compact_channels], affinity), *x.shape[2:])
        convolved = F.conv2d(y, kernel, None, 1, 1, 1, x.shape[1])
        z, found = _normalise_and_add(
            x, convolved, scale, shift, running_mean, running_variance, momentum, settings.eps
        )
        keep = _KEPT_SHARE * settings.compact_channels <= x.shape[2] * x.shape[3]
        ctx.save_for_backward(x, kernel, scale, shift, convolved, found, affinity if keep else None)
        ctx.settings = settings
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, z_grad: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel, scale, shift, convolved, found, affinity = ctx.saved_tensors
        settings: Settings = ctx.settings
        z_grad = z_grad.contiguous(memory_format=torch.channels_last)
        x_s = sample_positions(x, settings.nl_stride)
        if affinity is None:
            affinity = _affinity(x_s, settings)
        y = maps_of(torch.bmm(positions_last(x)[:, :, : settings.compact_channels], affinity), *x.shape[2:])
        convolved_grad, scale_grad, shift_grad = _differentiate_norm(
            convolved, z_grad, scale, shift, found, settings.eps
        )
        y_grad, kernel_grad = depthwise_gradients(y, kernel, convolved_grad, 1)
        assert y_grad is not None
        del y, convolved_grad  # two maps less while the products run
        x_grad = _add_product_gradient(z_grad, y_grad, x, x_s, affinity, settings)
        return x_grad, kernel_grad, scale_grad, shift_grad, None, None, None, None


def _normalise_and_add(
    x: Tensor,
    convolved: Tensor,
    scale: Tensor,
    shift: Tensor,
    running_mean: Tensor | None,
    running_variance: Tensor | None,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """x + BN(convolved), and what the backward pass needs: mean and 1 / std of the batch come first."""
    if runs_kernels(x):
        z, found = normalise_map(convolved, scale, shift, eps, RESIDUAL, x)
        move_running_statistics(running_mean, running_variance, momentum, found)
        return z, found
    z, mean, inverse_std = torch.native_batch_norm(
        convolved, scale, shift, running_mean, running_variance, True, momentum, eps
    )
    return z.add_(x), torch.stack((mean, inverse_std))  # in place: batch norm does not need its output again


def _differentiate_norm(
    convolved: Tensor, z_grad: Tensor, scale: Tensor, shift: Tensor, found: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the convolution's result, scale and shift."""
    if runs_kernels(convolved):
        return differentiate_map(convolved, z_grad, scale, shift, found, PLAIN)
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
        z_grad, convolved, scale, None, None, found[0], found[1], True, eps, [True, True, True]
    )
    return gradients


def _affinity(x_s: Tensor, settings: Settings) -> Tensor:
    """A: (B, C', r) x (B, r, C) -> (B, C', C)."""
    return scaled_bmm(x_s[:, :, : settings.compact_channels].mT, x_s, 1 / settings.divisor)


def _add_product_gradient(
    z_grad: Tensor, y_grad: Tensor, x: Tensor, x_s: Tensor, affinity: Tensor, settings: Settings
) -> Tensor:
    """`z_grad` plus what reaches x through y = x_c A and A = x_sc^T x_s / d, in the memory of `y_grad`.

    With G = dL/dy and D = x_c^T G / d: x_c gets G A^T, x_s gets x_sc D, x_sc gets x_s D^T. The narrow ones, C' channels
    wide, are computed transposed: as (B, positions, C') they take twice the time.
    """
    height, width = x.shape[2:]
    x_c = positions_last(x)[:, :, : settings.compact_channels]  # (B, HW, C')
    total = positions_last(y_grad)  # (B, HW, C): G, until nothing needs it any more
    d = scaled_bmm(x_c.mT, total, 1 / settings.divisor)  # (B, C', HW) x (B, HW, C) -> (B, C', C)
    narrow = torch.bmm(affinity, total.mT)  # (B, C', C) x (B, C, HW) -> (B, C', HW)
    if settings.nl_stride == 1:
        narrow.baddbmm_(d, x_s.mT)  # (B, C', C) x (B, C, HW)
        torch.baddbmm(positions_last(z_grad), x_c, d, out=total)  # (B, HW, C') x (B, C', C) -> (B, HW, C)
        total[:, :, : settings.compact_channels].add_(narrow.mT)
        return maps_of(total, height, width)
    total.copy_(positions_last(z_grad))
    total[:, :, : settings.compact_channels].add_(narrow.mT)
    through_samples = torch.bmm(x_s[:, :, : settings.compact_channels], d)  # (B, r, C') x (B, C', C) -> (B, r, C)
    through_samples[:, :, : settings.compact_channels].add_(torch.bmm(d, x_s.mT).mT)
    x_grad = maps_of(total, height, width)
    coarse = x_grad[:, :, :: settings.nl_stride, :: settings.nl_stride]
    coarse.add_(maps_of(through_samples, *coarse.shape[2:]))
    return x_grad


def scaled_bmm(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """`scale` a b, without a pass of its own for the scale."""
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale)
