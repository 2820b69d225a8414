"""Batch norms take over the statistics of the data without changing what their network computes.

A pretrained network comes with the statistics of the images that it learned from. Those of other images differ, and a
network that is normalised by them computes something else: the features that it was wanted for suffer. So scale and
shift make up for the difference first; then normalising by the data is what the network did before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from autonl_core.data.batches import Batch
from autonl_core.nn.blocks.conv import normalise
from autonl_core.nn.network import evaluating
from autonl_core.training.evaluate import first_images

STATISTICS_IMAGES = 1_000  # that the statistics are measured on: each has many positions


@torch.no_grad()
def adopt_statistics(network: nn.Module, batches: Iterable[Batch], max_images: int = STATISTICS_IMAGES) -> None:
    """Set every running mean and variance to that of `batches`; scale and shift keep the network's answers.

    With mean m, variance v and eps e of the data, and m0, v0 of before, scale s and shift t become
    s sqrt((v + e) / (v0 + e)) and t + s (m - m0) / sqrt(v0 + e): equal answers in evaluation mode, to rounding error.
    """
    with evaluating(network), _watched(network) as witnesses:
        for x, _ in first_images(batches, max_images):
            network(x)
    for witness in witnesses:
        witness.restate()


@contextmanager
def _watched(network: nn.Module) -> Iterator[list[_Witness]]:
    """A witness in the place of every batch norm while the context is open."""
    places = [
        (parent, name, layer)
        for parent in network.modules()
        for name, layer in parent.named_children()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    witnesses = [_Witness(norm) for _, _, norm in places]
    try:
        for (parent, name, _), witness in zip(places, witnesses, strict=True):
            setattr(parent, name, witness)
        yield witnesses
    finally:
        for parent, name, norm in places:
            setattr(parent, name, norm)


class _Witness(nn.Module):
    """Does what `norm` does in evaluation mode, and adds up what it is given."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()  # its `training` stays True: blocks call, and do not fold, a norm that is in training
        self.norm = norm
        self.positions = 0
        self.sums = self.squares = torch.zeros((), dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        self.positions += x.numel() // x.shape[1]
        self.sums = self.sums + x.sum((0, 2, 3), dtype=torch.float64).cpu()  # (C,)
        self.squares = self.squares + x.square().sum((0, 2, 3), dtype=torch.float64).cpu()
        return normalise(x, self.norm)

    def restate(self) -> None:
        """Give the norm the statistics of all it was given, and a scale and a shift that make up for the change."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean = self.sums / self.positions
        variance = (self.squares / self.positions - mean.square()).clamp_min(0.0)
        old_mean, old_std = norm.running_mean.cpu().double(), (norm.running_var.cpu().double() + norm.eps).sqrt()
        scale = norm.weight.cpu().double()
        norm.bias.copy_(norm.bias.cpu().double() + scale * (mean - old_mean) / old_std)
        norm.weight.copy_(scale * (variance + norm.eps).sqrt() / old_std)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
