"""The labels that the delivered network doubts, on training and test images.

A mobile network that learned from augmented images for a limited time does not learn every wrong label by heart: what
most images of a class taught it speaks against the few that do not belong there. So the doubt about a label is how much
more probable another class is to the network. Test images are looked at when they are scored; the training images
cost one forward pass more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from autonl_core.data.batches import plain_order
from autonl_core.errors import DatasetError
from autonl_core.files import sha256_of
from autonl_core.nn.network import Network
from autonl_core.report.images import image_uri
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.doubtful_labels import KIND, MAX_PICTURED, DoubtfulLabel, DoubtfulLabels, listed
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.result import ResultFile
from autonl_core.training.evaluate import evaluate

NAME = f"{KIND}.json"


@dataclass
class Doubts:
    """What a network gives to the label of each image and to the most probable other class, in the order they came."""

    others: list[Tensor] = field(default_factory=list)  # (B,) int64 each
    of_labels: list[Tensor] = field(default_factory=list)  # (B,) float32 each, 0 to 1
    of_others: list[Tensor] = field(default_factory=list)

    def __call__(self, x: Tensor, labels: Tensor, logits: Tensor) -> None:
        """One batch: images (B, 3, R, R), labels (B,), logits (B, classes)."""
        probable = logits.float().softmax(dim=1)
        of_label = probable.gather(1, labels[:, None])
        of_other, other = probable.scatter(1, labels[:, None], -1.0).max(dim=1)
        for column, values in ((self.others, other), (self.of_labels, of_label[:, 0]), (self.of_others, of_other)):
            column.append(values.cpu())


def examine_labels(run: SearchRun, network: Network, doubts: Doubts) -> DoubtfulLabels:
    """The labels of test and training images that `network` doubts most.

    Args:
        doubts: about the test images, in the order of `Loader.plain`; those about training images are added.

    Raises:
        DatasetError: the dataset is missing or was changed since the search began, so its images have no names.
        OSError: it cannot be read.
        Interrupted: the search was asked to stop.
    """
    evaluate(network, run.watched(run.loader.plain(run.data.train)), doubts)
    others, of_labels, of_others = (torch.cat(column) for column in (doubts.others, doubts.of_labels, doubts.of_others))
    rows = np.concatenate([images.indices[plain_order(images)] for images in (run.data.test, run.data.train)])
    most = (of_others - of_labels).argsort(descending=True, stable=True)[: listed(len(rows))]
    found = [_Found(int(rows[at]), int(others[at]), float(of_labels[at]), float(of_others[at])) for at in most]
    return DoubtfulLabels(len(rows), _named(run, found))


def write_doubtful_labels(run: SearchRun, network: Network, doubts: Doubts) -> dict[str, ResultFile]:
    """Write what `examine_labels` finds into the work folder; by kind. Without names of images, an event says why."""
    try:
        found = examine_labels(run, network, doubts)
    except (DatasetError, OSError) as error:
        run.reporter.event(EventKind.LABELS_NOT_EXAMINED, {"problem": str(error)})
        return {}
    path = run.work_dir / NAME
    path.write_text(json.dumps(found.to_json()), encoding="utf-8")
    return {KIND: ResultFile(path, sha256_of(path), path.stat().st_size)}


@dataclass(frozen=True)
class _Found:
    """A doubtful label: the row of its image, the other class, and what the network gives to both, 0 to 1."""

    row: int
    other: int
    of_label: float
    of_other: float


def _named(run: SearchRun, found: Sequence[_Found]) -> list[DoubtfulLabel]:
    """With the names of files and classes, and pictures of the first."""
    names, classes, test = run.data.image_names(run.dataset), run.dataset.classes, set(run.data.test.indices.tolist())
    return [
        DoubtfulLabel(
            image=names[one.row],
            split="test" if one.row in test else "train",
            label=classes[int(run.data.train.labels[one.row])],
            label_pct=round(100 * one.of_label, 2),
            looks_like=classes[one.other],
            looks_like_pct=round(100 * one.of_other, 2),
            picture=image_uri(run.data.train.pixels.read(np.array([one.row]))[0]) if number < MAX_PICTURED else None,
        )
        for number, one in enumerate(found)
    ]
