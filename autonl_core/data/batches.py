"""Batches whose order and augmentation are functions of (seed, epoch, index) alone.

No random state is carried from batch to batch, so a resumed search gets exactly the batches of an uninterrupted one.
Images stay uint8 until they are on the device, where whole batches are augmented.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autonl_core.data.augment import Augmentation, augment, mix, normalise
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.data.sampling import Positions, class_balanced, shuffled

Stream = Literal[
    "search",
    "slopes",
    "gates",
    "slope_gates",
    "candidates",
    "finalist",
    "train",
    "plain",
    "dropout",
    "mix",
    "teacher",
    "resolution",
    "significance",
]
STREAM_NUMBERS: Mapping[Stream, int] = {  # part of every seed: never renumber, or searches are not repeatable
    "search": 0,
    "slopes": 1,
    "gates": 2,
    "slope_gates": 3,
    "candidates": 4,
    "finalist": 5,
    "train": 6,
    "plain": 7,
    "dropout": 8,
    "mix": 9,
    "teacher": 10,
    "resolution": 11,
    "significance": 12,
}

Batch = tuple[Tensor, Tensor]  # images (B, 3, R, R) float32 channels_last, labels (B,), or (B, classes) once mixed


def plain_order(images: ImageSet) -> NDArray[np.int64]:
    """The positions of a set in the order in which `Loader.plain` yields its images."""
    return random_stream("plain", 0, 0).permutation(len(images))


def random_stream(stream: Stream, seed: int, count: int) -> np.random.Generator:
    """A generator that depends on the arguments alone; `count` is an epoch or a step."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([STREAM_NUMBERS[stream], seed, count])))


class BatchSource(Protocol):
    """What makes batches of one dataset on one device; see `Loader` for what the methods promise."""

    @property
    def data(self) -> PreparedData: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def seed(self) -> int: ...

    @property
    def augmentation(self) -> Augmentation: ...

    def epoch(
        self,
        images: ImageSet,
        stream: Stream,
        epoch: int,
        batch_size: int,
        first_step: int = 0,
        *,
        balanced: bool = False,
    ) -> Iterator[Batch]: ...

    def batch(self, images: ImageSet, stream: Stream, epoch: int, batch_size: int, step: int) -> Batch: ...

    def steps(self, images: ImageSet, batch_size: int) -> int: ...

    def plain(self, images: ImageSet, batch_size: int | None = None) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class PlannedBatch:
    """Which images a batch has, and which draws they get, before any is read."""

    positions: Positions  # in the image set
    draw_rows: Positions  # of the draws of the epoch
    number: int  # of its step, counted from the first epoch


@dataclass(frozen=True)
class Loader:
    """Makes batches of one dataset on one device."""

    data: PreparedData
    device: torch.device
    seed: int
    augmentation: Augmentation

    def epoch(
        self,
        images: ImageSet,
        stream: Stream,
        epoch: int,
        batch_size: int,
        first_step: int = 0,
        *,
        balanced: bool = False,
    ) -> Iterator[Batch]:
        """One shuffled, augmented pass from `first_step` on; a last batch of less than half the size is dropped.

        Only the stream `train` gets the full augmentation (see `Augmentation.for_search`). With `balanced`, every
        class appears equally often (see `sampling.class_balanced`).
        """
        steps = range(first_step, self.steps(images, batch_size))
        yield from self._batches(images, stream, epoch, batch_size, steps, balanced)

    def batch(self, images: ImageSet, stream: Stream, epoch: int, batch_size: int, step: int) -> Batch:
        """The batch of one step of `epoch`, without reading ahead."""
        (batch,) = self._batches(images, stream, epoch, batch_size, range(step, step + 1), balanced=False)
        return batch

    def _batches(
        self, images: ImageSet, stream: Stream, epoch: int, batch_size: int, steps: range, balanced: bool
    ) -> Iterator[Batch]:
        augmentation = self.augmentation if stream == "train" else self.augmentation.for_search()
        rng = random_stream(stream, self.seed, epoch)
        count = len(images)
        order = class_balanced(images.labels[images.indices], rng) if balanced else shuffled(count, rng)
        draws = rng.random((count, augmentation.draws))
        planned = []
        for step in steps:
            positions = order[step * batch_size : (step + 1) * batch_size]
            # draws go by image, not by place in the order; but a balanced order repeats images, which must then differ
            rows = np.arange(step * batch_size, step * batch_size + len(positions)) if balanced else positions
            planned.append(PlannedBatch(positions, rows, epoch * self.steps(images, batch_size) + step))
        yield from self._augmented(images, planned, draws, augmentation, stream)

    def _augmented(
        self,
        images: ImageSet,
        planned: Sequence[PlannedBatch],
        draws: NDArray[np.float64],
        augmentation: Augmentation,
        stream: Stream,
    ) -> Iterator[Batch]:
        """Read and augment the images of planned batches. draws: (N, `augmentation.draws`)."""
        taken = images.take_ahead([batch.positions for batch in planned])
        for batch, (pixels, labels) in zip(planned, taken, strict=True):
            x = augment(pixels.to(self.device), draws[batch.draw_rows], augmentation, self.data.mean, self.data.std)
            yield self._mixed(x, labels.to(self.device), augmentation, batch.number)

    def _mixed(self, x: Tensor, labels: Tensor, augmentation: Augmentation, number: int) -> Batch:
        if not augmentation.mixes:
            return x, labels
        return mix(x, labels, self.classes, augmentation, random_stream("mix", self.seed, number))

    @functools.cached_property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.data.train.labels.max()) + 1  # every class has training images

    def steps(self, images: ImageSet, batch_size: int) -> int:
        """The number of batches that `epoch` yields."""
        whole, rest = divmod(len(images), batch_size)
        return max(1, whole + (rest >= batch_size / 2))

    def plain(self, images: ImageSet, batch_size: int | None = None) -> Iterator[Batch]:
        """One pass without augmentation, every image once, in a fixed order that mixes the classes.

        The default `batch_size` is 500, or fewer for images above 64 pixels, to bound the memory.

        Datasets are sorted by class. Batches of a single class have untypical statistics, and batch norms that are
        recalibrated or run on them would be badly off (measured: 65.0% instead of 70.4% top-1).
        """
        batch_size = batch_size or max(16, min(500, 500 * 64**2 // self.data.resolution**2))
        order = plain_order(images)
        batches = np.array_split(order, math.ceil(len(order) / batch_size))  # no small last batch
        for pixels, labels in images.take_ahead(batches):
            yield normalise(pixels.to(self.device), self.data.mean, self.data.std), labels.to(self.device)
