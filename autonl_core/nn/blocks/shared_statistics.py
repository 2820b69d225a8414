"""Batch statistics over all ranks: each has a share of a batch, and normalises it by the statistics of the whole.

Within `sharing_statistics`, on every rank alike. What the ranks exchange is combined in their order, so all of them get
the same bits; other numbers of ranks differ by rounding. They wait for each other in every batch norm, forward and
backward, so none of them may leave a pass before its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from autonl_core.parallel.ranks import ALONE, Ranks

_POSITIONS = (0, 2, 3)  # of a map (B, C, H, W): what the statistics of a channel are over
_sharing: ContextVar[Ranks] = ContextVar("ranks that share batch statistics", default=ALONE)


@contextmanager
def sharing_statistics(ranks: Ranks) -> Iterator[None]:
    """Within the block, what this thread normalises by its batch is normalised by the batches of all ranks."""
    before = _sharing.set(ranks)
    try:
        yield
    finally:
        _sharing.reset(before)


def shares_statistics() -> bool:
    """Whether batch norms are to use `normalise_by_all`."""
    return not _sharing.get().alone


def normalise_by_all(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    running_mean: Tensor | None,
    running_variance: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """(B, C, H, W) -> the same: as `F.batch_norm` in training, of the maps of all ranks together.

    Gradients of scale and shift are those of the own share: their sum over the ranks is that of the batch.
    """
    return _NormalisedByAll.apply(x, scale, shift, running_mean, running_variance, momentum, eps, _sharing.get())


class _NormalisedByAll(torch.autograd.Function):
    """(x, scale, shift, running mean, running variance, momentum, eps, ranks) -> the result. No second derivatives."""

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
        ranks: Ranks,
    ) -> Tensor:
        variance, mean = torch.var_mean(x.to(scale.dtype), _POSITIONS, correction=0)
        count = mean.new_tensor([x.numel() // x.shape[1]])
        rows = torch.stack(ranks.gather(torch.cat((count, mean, variance)).double()))  # (ranks, 1 + 2 C)
        counts, means, variances = rows.split((1, len(mean), len(mean)), dim=1)
        total = counts.sum()
        mean = (counts * means).sum(0) / total
        variance = (counts * (variances + (means - mean).square())).sum(0) / total
        if running_mean is not None and running_variance is not None:
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_variance.lerp_((variance * total / (total - 1)).to(running_variance), momentum)
        mean, variance = mean.to(scale), variance.to(scale)
        ctx.save_for_backward(x, scale, mean, (variance + eps).rsqrt(), total)
        ctx.ranks = ranks
        return F.batch_norm(x, mean, variance, scale, shift, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, out_grad: Tensor) -> tuple[Tensor | None, ...]:
        """With u = out_grad and x^ = (x - mean) / std, dL/dx = scale / std (u - mean(u) - x^ mean(u x^)): of all."""
        x, scale, mean, inverse_std, total = ctx.saved_tensors
        u = out_grad.to(scale.dtype)
        mean, inverse_std, factor = (each.view(1, -1, 1, 1) for each in (mean, inverse_std, scale * inverse_std))
        normalised = (x.to(scale.dtype) - mean) * inverse_std
        own = torch.cat((u.sum(_POSITIONS), (u * normalised).sum(_POSITIONS)))
        of_all = (torch.stack(ctx.ranks.gather(own.double())).sum(0) / total).to(scale)
        mean_u, mean_product = of_all.view(2, 1, -1, 1, 1)
        x_grad = factor * (u - mean_u - normalised * mean_product)
        shift_grad, scale_grad = own.chunk(2)
        return x_grad.to(x.dtype), scale_grad, shift_grad, None, None, None, None, None
