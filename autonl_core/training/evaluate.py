"""Measuring a network: batch-norm recalibration, then top-1 and top-5 over a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.data.batches import Batch
from autonl_core.nn.network import evaluating
from autonl_core.parallel.ranks import ALONE, Ranks
from autonl_core.spec.comparison import Gap

Onlooker = Callable[[Tensor, Tensor, Tensor], None]  # images (B, 3, R, R), labels (B,), logits (B, classes)

RECALIBRATION_IMAGES = 10_000
WORST_MISTAKES = 24  # that a report shows


@dataclass(frozen=True)
class Score:
    """Counts over `images` images and their mean cross-entropy, `loss`."""

    correct: int
    correct_top5: int | None  # None: there are at most five classes, and every answer would count
    images: int
    loss: float

    @property
    def top1_pct(self) -> float:
        return 100.0 * self.correct / self.images

    @property
    def top5_pct(self) -> float | None:
        return None if self.correct_top5 is None else 100.0 * self.correct_top5 / self.images


@dataclass(frozen=True)
class Predictions:
    """What a network says of the images of a split, in the order they came. `confidence` is the softmax of its answer.

    `worst_images` are the mistakes made with most confidence, (K, 3, R, R) as they were fed, the worst first;
    `worst` their places.
    """

    labels: Tensor  # (N,) int64
    predicted: Tensor  # (N,) int64
    confidence: Tensor  # (N,) float32
    worst: Tensor  # (K,) int64
    worst_images: Tensor


class Examiner:
    """Keeps what a network says while it is scored: `evaluate(network, batches, examiner)`, then `predictions()`."""

    def __init__(self, mistakes: int = WORST_MISTAKES) -> None:
        self._mistakes = mistakes
        self._answers: list[tuple[Tensor, Tensor, Tensor]] = []  # labels, predicted, confidence
        self._worst: list[tuple[float, int, Tensor]] = []  # confidence, place, image
        self._seen = 0

    def __call__(self, x: Tensor, labels: Tensor, logits: Tensor) -> None:
        """One batch: images (B, 3, R, R), labels (B,), logits (B, classes)."""
        confidence, predicted = (value.cpu() for value in logits.float().softmax(dim=1).max(dim=1))
        labels = labels.cpu()
        self._answers.append((labels, predicted, confidence))
        mistaken = torch.where(predicted != labels, confidence, -1.0)  # (B,), below 0 where it is right
        most = mistaken.topk(min(self._mistakes, len(mistaken)))
        for value, place in zip(most.values.tolist(), most.indices.tolist(), strict=True):
            if value >= 0:
                self._worst.append(
                    (value, self._seen + place, x[place].cpu().clone())
                )  # a view would keep the whole batch
        self._worst = sorted(self._worst, key=lambda found: (-found[0], found[1]))[: self._mistakes]
        self._seen += len(labels)

    def predictions(self) -> Predictions:
        labels, predicted, confidence = (torch.cat(parts) for parts in zip(*self._answers, strict=True))
        places = torch.tensor([place for _, place, _ in self._worst], dtype=torch.int64)
        images = [image for _, _, image in self._worst]
        return Predictions(labels, predicted, confidence, places, torch.stack(images) if images else torch.empty(0))


def together(*onlookers: Onlooker) -> Onlooker:
    """All of these, so that what they look at is computed once."""

    def look(x: Tensor, labels: Tensor, logits: Tensor) -> None:
        for onlooker in onlookers:
            onlooker(x, labels, logits)

    return look


class Marks:
    """Keeps what a network predicts, in the order the images came: `evaluate(network, batches, marks)`, then these."""

    def __init__(self) -> None:
        self._labels: list[Tensor] = []
        self._predicted: list[Tensor] = []

    def __call__(self, x: Tensor, labels: Tensor, logits: Tensor) -> None:
        """One batch: images (B, 3, R, R), labels (B,), logits (B, classes)."""
        self._labels.append(labels)
        self._predicted.append(logits.argmax(dim=1))

    def labels(self) -> Tensor:
        """(N,), the true classes, on the CPU."""
        return torch.cat(self._labels).cpu()

    def predicted(self) -> Tensor:
        """(N,), the classes that it names, on the CPU."""
        return torch.cat(self._predicted).cpu()

    def right(self) -> Tensor:
        """(N,) bool, which images it gets right."""
        return self.predicted() == self.labels()


def gap(right: Tensor, other: Tensor) -> Gap:
    """How far one network is ahead of another, from which of the same images each gets right, or what share, (N,).

    Paired image by image: what both find easy or hard does not count as uncertainty.
    """
    points = 100 * (right.double() - other.double())
    spread = float(points.std()) if len(points) > 1 else 0.0
    return Gap(round(float(points.mean()), 2), round(spread / len(points) ** 0.5, 2))


@torch.no_grad()
def score(
    forward: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    examiner: Onlooker | None = None,
    ranks: Ranks = ALONE,
) -> Score:
    """Score `forward`, which maps images (B, 3, R, R) to logits (B, classes); `examiner` looks on.

    The ranks share the batches, and each of them sees what all answer: the score does not depend on their number.
    """
    images = classes = 0
    sums: list[Tensor] = []  # (3,) float64 of every batch, on its device: read once, at the end
    for x, labels, logits in _answered(forward, batches, ranks):
        classes = logits.shape[1]
        ranked = logits.topk(min(5, classes), dim=1).indices == labels[:, None]  # (B, 5)
        loss = F.cross_entropy(logits.float(), labels, reduction="sum")
        sums.append(torch.stack((ranked[:, 0].sum().double(), ranked.any(dim=1).sum().double(), loss.double())))
        images += len(labels)
        if examiner is not None:
            examiner(x, labels, logits)
    correct, correct_top5, total = (sum(numbers) for numbers in zip(*torch.stack(sums).cpu().tolist(), strict=True))
    return Score(int(correct), int(correct_top5) if classes > 5 else None, images, total / images)


def _answered(
    forward: Callable[[Tensor], Tensor], batches: Iterable[Batch], ranks: Ranks
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Every batch with its logits; of as many as there are ranks, each rank computes those of one."""
    if ranks.alone:
        yield from ((x, labels, forward(x)) for x, labels in batches)
        return
    upcoming = iter(batches)
    while group := list(islice(upcoming, ranks.size)):
        own, _ = group[min(ranks.rank, len(group) - 1)]
        logits = ranks.all_or_none(partial(forward, own))
        most = max(len(labels) for _, labels in group)
        padded = logits.new_zeros((most, logits.shape[1]))
        padded[: len(logits)] = logits
        for (x, labels), answers in zip(group, ranks.gather(padded), strict=False):
            yield x, labels, answers[: len(labels)]


def evaluate(
    network: nn.Module, batches: Iterable[Batch], examiner: Onlooker | None = None, ranks: Ranks = ALONE
) -> Score:
    """Score a network in evaluation mode, leaving it in the mode it was in."""
    with evaluating(network):
        return score(network, batches, examiner, ranks)


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
    network.train()
    for norm in norms:
        norm.train()  # those of fixed statistics too
    for count, (x, _) in enumerate(first_images(batches, max_images), start=1):
        for norm in norms:
            norm.momentum = 1.0 / count  # plain average; None means the same, but every norm would read its own count
        network(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)
