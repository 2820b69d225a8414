"""Batch normalisation by the statistics of the batch, with what follows it in the same pass.

Where ranks share the batch, by `shared_statistics.py`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from autonl_core.nn.blocks.activation import ACTIVATION_KINDS, activate
from autonl_core.nn.blocks.on_cpu import as_rows, number_like, runs_kernels
from autonl_core.nn.blocks.shared_statistics import normalise_by_all, shares_statistics
from autonl_core.spec.arch import Activation


def normalise_batch(
    x: Tensor, scale: Tensor, shift: Tensor, eps: float, activation: Activation | None = None
) -> Tensor:
    """(B, C, H, W) -> the same: scale (x - mean) / std + shift, then `activation`; no running statistics."""
    if shares_statistics():
        return activate(normalise_by_all(x, scale, shift, None, None, 0.0, eps), activation)
    if runs_kernels(x):
        return _NormalisedBatch.apply(x, scale, shift, None, None, 0.0, eps, ACTIVATION_KINDS[activation])
    return activate(F.batch_norm(x, None, None, scale, shift, True, 0.0, eps), activation)


def normalise_in_training(x: Tensor, norm: nn.BatchNorm2d, activation: Activation | None = None) -> Tensor:
    """`norm(x)` in training mode, which moves its running statistics, then `activation`."""
    if type(norm) is nn.BatchNorm2d and shares_statistics():
        return activate(normalise_by_all(x, norm.weight, norm.bias, *running_statistics(norm), norm.eps), activation)
    if type(norm) is nn.BatchNorm2d and runs_kernels(x):  # not a norm that speaks to other processes
        mean, variance, momentum = running_statistics(norm)
        kind = ACTIVATION_KINDS[activation]
        return _NormalisedBatch.apply(x, norm.weight, norm.bias, mean, variance, momentum, norm.eps, kind)
    return activate(norm(x), activation)


def running_statistics(norm: nn.BatchNorm2d) -> tuple[Tensor | None, Tensor | None, float]:
    """Running mean and variance and how far to move them, as `nn.BatchNorm2d` does in training."""
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    momentum = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    return norm.running_mean, norm.running_var, momentum


def normalise_map(
    x: Tensor, scale: Tensor, shift: Tensor, eps: float, kind: int, residual: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The kernel on a channels_last map: the result, and (3, C) of mean, 1 / std and unbiased variance of the batch."""
    from autonl_core.nn.kernels.batch_norm import normalise
    from autonl_core.nn.kernels.compiled import chunk_rows

    x, scale, shift = as_rows(x), scale.contiguous(), shift.contiguous()
    added = x if residual is None else as_rows(residual)
    channels = x.shape[1]
    rows, chunk = x.numel() // channels, chunk_rows(channels)
    out, found = torch.empty_like(x), x.new_empty((3, channels))
    parts = x.new_empty((2, -(-rows // chunk), channels))
    addresses = (t.data_ptr() for t in (x, scale, shift, added, out, found, parts))
    numbers = *addresses, rows, channels, chunk, kind, eps
    normalise(torch.get_num_threads(), x.numel(), numbers, number_like(x))
    return out, found


def differentiate_map(
    x: Tensor, out_grad: Tensor, scale: Tensor, shift: Tensor, found: Tensor, kind: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, scale and shift; `found`: as `normalise_map` returned it."""
    from autonl_core.nn.kernels.batch_norm import differentiate
    from autonl_core.nn.kernels.compiled import chunk_rows

    x, out_grad, scale, shift = as_rows(x), as_rows(out_grad), scale.contiguous(), shift.contiguous()
    channels = x.shape[1]
    rows, chunk = x.numel() // channels, chunk_rows(channels)
    x_grad, weight_grads = torch.empty_like(x), x.new_empty((2, channels))
    parts = x.new_empty((2, -(-rows // chunk), channels))
    addresses = (t.data_ptr() for t in (x, out_grad, scale, shift, found, x_grad, weight_grads, parts))
    numbers = *addresses, rows, channels, chunk, kind
    differentiate(torch.get_num_threads(), x.numel(), numbers, number_like(x))
    return x_grad, weight_grads[0], weight_grads[1]


def move_running_statistics(mean: Tensor | None, variance: Tensor | None, momentum: float, found: Tensor) -> None:
    """Move the running statistics, if there are any, towards those of a batch."""
    if mean is not None and variance is not None:
        torch._foreach_lerp_([mean, variance], [found[0], found[2]], momentum)


class _NormalisedBatch(torch.autograd.Function):
    """(x, scale, shift, running mean, running variance, momentum, eps, kind) -> the result. No second derivatives.

    Keeps x only: what the activation's slope needs is computed again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        running_mean: Tensor | None,
        running_variance: Tensor | None,
        momentum: float,
        eps: float,
        kind: int,
    ) -> Tensor:
        out, found = normalise_map(x, scale, shift, eps, kind)
        move_running_statistics(running_mean, running_variance, momentum, found)
        ctx.save_for_backward(x, scale, shift, found)
        ctx.kind = kind
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out_grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, found = ctx.saved_tensors
        gradients = differentiate_map(x, out_grad, scale, shift, found, ctx.kind)
        return *gradients, None, None, None, None, None
