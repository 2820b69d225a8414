"""Batches of crops cut from whole pictures, with the answers of a teacher network as labels.

A view is one random crop, cut and augmented once at `view_px`. The network that is trained gets it scaled down to the
resolution of the prepared data, the teacher to its own: both see the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from autonl_core.data.augment import Augmentation, augment_crops, normalise
from autonl_core.data.batches import Batch, Loader, PlannedBatch, Stream
from autonl_core.data.crops import cut
from autonl_core.data.one_ahead import one_ahead
from autonl_core.data.pictures import Pictures
from autonl_core.data.prepare import ImageSet


@dataclass(frozen=True)
class Teacher:
    """A trained network of the same classes, whose answers become part of the labels."""

    answer: Callable[[Tensor], Tensor]  # (B, 3, R, R), normalised as the data is, to logits (B, classes); in eval mode
    resolution: int
    weight: float  # share of its answer in a label; the rest is the true class

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"a teacher's weight is {self.weight}; it must be from 0 to 1")


@dataclass(frozen=True)
class ViewLoader(Loader):
    """A loader whose shuffled passes cut every image at random from its whole picture; see `crops.crop_box`.

    `data` has the centre squares at the resolution of the network that is trained: `plain` passes are those of
    `Loader`. A flip, colours, erasing and mixing are as in `Loader`; there is no random shift, whatever `padding_px`.

    With a teacher, labels are (B, classes): 1 - weight times the true class, or the mixed ones, plus weight times the
    teacher's probabilities. Not so in the stream `slopes`: validation images judge by their true classes alone.

    Args:
        view_px: side of a view, at least that of the network's and of the teacher's images.
        ahead_threads: CPU threads that make the next batch of a pass while one is used; 0: it is made when requested.
    """

    pictures: Pictures
    view_px: int
    teacher: Teacher | None = None
    ahead_threads: int = 0

    def __post_init__(self) -> None:
        for name, needed in (("network", self.data.resolution), ("teacher", self._teacher_resolution)):
            if self.view_px < needed:
                raise ValueError(
                    f"views of {self.view_px} pixels are smaller than the {needed} that the {name} gets; "
                    f"set view_px to {needed} or more"
                )
        self.pictures.require_rows_of(self.data)

    @property
    def _teacher_resolution(self) -> int:
        return 0 if self.teacher is None else self.teacher.resolution

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
        """As in `Loader`; the next batch is made meanwhile if there are threads for it."""
        batches = super().epoch(images, stream, epoch, batch_size, first_step, balanced=balanced)
        return one_ahead(batches, self.ahead_threads) if self.ahead_threads else batches

    def _augmented(
        self,
        images: ImageSet,
        planned: Sequence[PlannedBatch],
        draws: NDArray[np.float64],
        augmentation: Augmentation,
        stream: Stream,
    ) -> Iterator[Batch]:
        rows = [images.indices[batch.positions] for batch in planned]
        for batch, at, pictures in zip(planned, rows, self.pictures.read_ahead(rows), strict=True):
            u = draws[batch.draw_rows]
            crops = torch.from_numpy(cut(pictures, u, augmentation, self.view_px))
            labels = torch.from_numpy(images.labels[at]).to(self.device)
            views = crops.permute(0, 3, 1, 2)
            if not augmentation.only_moves:
                views = augment_crops(crops.to(self.device), u, augmentation, self.data.mean, self.data.std)
                views, labels = self._mixed(views, labels, augmentation, batch.number)
            if self.teacher is not None and stream != "slopes":
                labels = self._taught(self.teacher, views, labels)
            yield self._at(views, self.data.resolution), labels

    def _at(self, views: Tensor, resolution: int) -> Tensor:
        """What a network gets of views. Bytes are scaled as bytes, on the CPU: much faster than floats, but rounded."""
        x = scaled(views, resolution)
        if x.dtype != torch.uint8:
            return x
        return normalise(x.permute(0, 2, 3, 1).to(self.device), self.data.mean, self.data.std)

    def _taught(self, teacher: Teacher, views: Tensor, labels: Tensor) -> Tensor:
        true = labels if labels.dim() == 2 else F.one_hot(labels, self.classes).float()
        with torch.no_grad():
            logits = teacher.answer(self._at(views, teacher.resolution))
        if logits.shape != true.shape:
            raise ValueError(
                f"a teacher answered {tuple(logits.shape)} logits for {len(true)} images of {self.classes} classes; "
                "it must be a network of the same classes"
            )
        return torch.lerp(true, logits.float().softmax(1), teacher.weight)


def scaled(x: Tensor, resolution: int) -> Tensor:
    """Scale (B, 3, S, S) down to `resolution`, with antialiasing; channels_last."""
    if x.shape[-1] != resolution:
        x = F.interpolate(x, size=(resolution, resolution), mode="bilinear", antialias=True, align_corners=False)
    return x.contiguous(memory_format=torch.channels_last)
