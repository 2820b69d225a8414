"""Measuring a network: batch-norm recalibration, then top-1 and top-5 over a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.data.batches import Batch
from autonl_core.network import evaluating

RECALIBRATION_IMAGES = 10_000


@dataclass(frozen=True)
class Score:
    """Counts over `images` images and their mean cross-entropy, `loss`."""

    correct: int
    correct_top5: int
    images: int
    loss: float

    @property
    def top1_pct(self) -> float:
        return 100.0 * self.correct / self.images

    @property
    def top5_pct(self) -> float:
        return 100.0 * self.correct_top5 / self.images


@torch.no_grad()
def score(forward: Callable[[Tensor], Tensor], batches: Iterable[Batch]) -> Score:
    """Score `forward`, which maps images (B, 3, R, R) to logits (B, classes)."""
    correct = correct_top5 = images = 0
    loss = 0.0
    for x, labels in batches:
        logits = forward(x)
        ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]  # (B, 5)
        correct += int(ranked[:, 0].sum())
        correct_top5 += int(ranked.any(dim=1).sum())
        loss += float(F.cross_entropy(logits.float(), labels, reduction="sum"))
        images += len(labels)
    return Score(correct, correct_top5, images, loss / images)


def evaluate(network: nn.Module, batches: Iterable[Batch]) -> Score:
    """Score a network in evaluation mode, leaving it in the mode it was in."""
    with evaluating(network):
        return score(network, batches)


def first_images(batches: Iterable[Batch], images: int) -> Iterator[Batch]:
    """Whole batches until there were at least so many images."""
    seen = 0
    for batch in batches:
        yield batch
        seen += len(batch[1])
        if seen >= images:
            return


@torch.no_grad()
def recalibrate_batch_norm(
    network: nn.Module, batches: Iterable[Batch], max_images: int = RECALIBRATION_IMAGES
) -> None:
    """Replace every running mean and variance by their plain average over `batches`, for the weights as they are.

    Running averages gathered during training belong to weights that have since moved, and averaged weights (EMA) never
    had any of their own.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    was_training = network.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    network.train()
    for x, _ in first_images(batches, max_images):
        network(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)
