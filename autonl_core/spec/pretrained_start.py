"""The pretrained weights that a result derives from, and how they were adapted to its dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autonl_core.spec.weight_set import Normalisation


@dataclass(frozen=True)
class ResolutionTrial:
    """What the uniform network of a resolution scores on validation images after one pass."""

    resolution: int
    loss: float
    top1_pct: float

    def to_json(self) -> dict[str, float]:
        return {
            "resolution": self.resolution,
            "val_loss": round(self.loss, 4),
            "val_top1_pct": round(self.top1_pct, 2),
        }


@dataclass(frozen=True, kw_only=True)
class PretrainedStart:
    """A weight set as it was when a search started from it, the network fine-tuned from it, and what it led to."""

    weights: str  # name of the weight set
    sha256: str  # of its file
    network: str | None  # name of its architecture in the zoo; None: it has none
    source: str | None  # None: not stated
    licence: str | None  # None: not stated
    top1_pct: float | None  # as published, for its own classes; None: not stated
    num_classes: int  # that it was trained for
    normalisation: Normalisation  # of images, in the result as well
    teacher_resolution: int  # pixels, at which the whole network was fine-tuned
    teacher_val_top1_pct: float | None  # on validation images, after that; None: an earlier version did not keep it
    trials: tuple[ResolutionTrial, ...]  # in the order in which they were made; none if there was nothing to choose
    resolution: int  # pixels, of the result
    inherited: bool  # whether the result started from these weights, or only learned from what they became

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> PretrainedStart:
        """The inverse of `dataclasses.asdict`."""
        trials = tuple(ResolutionTrial(**trial) for trial in data["trials"])
        normalisation = Normalisation.from_json(data["normalisation"])
        return PretrainedStart(**{**data, "trials": trials, "normalisation": normalisation})
