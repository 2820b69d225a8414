"""Batches whose order and augmentation are functions of (seed, epoch, index) alone.

No random state is carried from batch to batch, so a resumed search gets exactly the batches of an uninterrupted one.
Images stay uint8 until they are on the device, where whole batches are augmented.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from autonl_core.data.augment import Augmentation, augment, mix, normalise
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.data.sampling import class_balanced, shuffled

Stream = Literal[
    "search", "alpha", "gates", "alpha_gates", "candidates", "finalist", "train", "plain", "dropout", "mix"
]
STREAM_NUMBERS: Mapping[Stream, int] = {  # part of every seed: never renumber, or searches are not repeatable
    "search": 0,
    "alpha": 1,
    "gates": 2,
    "alpha_gates": 3,
    "candidates": 4,
    "finalist": 5,
    "train": 6,
    "plain": 7,
    "dropout": 8,
    "mix": 9,
}

Batch = tuple[Tensor, Tensor]  # images (B, 3, R, R) float32 channels_last, labels (B,), or (B, classes) once mixed


def random_stream(stream: Stream, seed: int, count: int) -> np.random.Generator:
    """A generator that depends on the arguments alone; `count` is an epoch or a step."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([STREAM_NUMBERS[stream], seed, count])))


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
        rng = random_stream(stream, self.seed, epoch)
        augmentation = self.augmentation if stream == "train" else self.augmentation.for_search()
        count = len(images)
        order = class_balanced(images.labels[images.indices], rng) if balanced else shuffled(count, rng)
        draws = rng.random((count, augmentation.draws))
        batches = [order[step * batch_size : (step + 1) * batch_size] for step in steps]
        for step, positions, (pixels, labels) in zip(steps, batches, images.take_ahead(batches), strict=True):
            # draws go by image, not by place in the order; but a balanced order repeats images, which must then differ
            rows = np.arange(step * batch_size, step * batch_size + len(positions)) if balanced else positions
            x = augment(pixels.to(self.device), draws[rows], augmentation, self.data.mean, self.data.std)
            yield self._mixed(x, labels.to(self.device), augmentation, epoch * self.steps(images, batch_size) + step)

    def _mixed(self, x: Tensor, labels: Tensor, augmentation: Augmentation, global_step: int) -> Batch:
        if not augmentation.mixes:
            return x, labels
        return mix(x, labels, self._classes, augmentation, random_stream("mix", self.seed, global_step))

    @functools.cached_property
    def _classes(self) -> int:
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
        order = random_stream("plain", 0, 0).permutation(len(images))
        batches = np.array_split(order, math.ceil(len(order) / batch_size))  # no small last batch
        for pixels, labels in images.take_ahead(batches):
            yield normalise(pixels.to(self.device), self.data.mean, self.data.std), labels.to(self.device)
