"""What a weight set is: trained weights of one architecture, how images are fed to them, and where they come from.

Some are built in (`builtin_weights.py`), others are uploaded and checked. Nothing here reads weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from autonl_core.errors import WeightSetError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.published_net import adapt
from autonl_core.spec.zoo import ZOO, find_net

Origin = Literal["built-in", "uploaded"]
Channels = tuple[float, float, float]


def _require_channels(name: str, values: Sequence[float]) -> None:
    if len(values) != 3 or not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        raise WeightSetError(
            f"{name} is {', '.join(map(str, values))}; it must be three numbers from 0 to 1, for pixels from 0 to 1: "
            "divide what is meant for 0 to 255 by 255"
        )


@dataclass(frozen=True)
class Normalisation:
    """How pixels are fed to a network: scaled to 0 to 1, minus `mean`, divided by `std`, per channel (RGB).

    Raises WeightSetError for values that cannot be on that scale.
    """

    mean: Channels
    std: Channels

    def __post_init__(self) -> None:
        _require_channels("mean", self.mean)
        _require_channels("std", self.std)
        if 0 in self.std:
            raise WeightSetError(f"std is {', '.join(map(str, self.std))}; what divides pixels cannot be 0")

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Normalisation:
        mean, std = (tuple(map(float, data[name])) for name in ("mean", "std"))
        return Normalisation(mean, std)  # type: ignore[arg-type]  # the length is checked above


# What most ImageNet training feeds, the PyTorch port of AutoNL included: assumed where nothing else is known.
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# What EfficientNet-Lite was trained with: (x - 127) / 128 of pixels from 0 to 255.
EFFICIENTNET_LITE = Normalisation((127 / 255, 127 / 255, 127 / 255), (128 / 255, 128 / 255, 128 / 255))


@dataclass(frozen=True)
class WeightProblem:
    """Why weights cannot be used."""

    code: str  # stable, for programs
    detail: str  # what it means, and the way out
    tensors: tuple[str, ...] = ()  # everything that does not fit, one sentence each

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> WeightProblem:
        return WeightProblem(**{**data, "tensors": tuple(data["tensors"])})


@dataclass(frozen=True, kw_only=True)
class WeightSetDetails:
    """What the uploader of weights states about them. None: nothing."""

    network: str | None = None  # the name in the zoo of the architecture that they belong to
    normalisation: Normalisation | None = None
    source: str | None = None
    licence: str | None = None
    top1_pct: float | None = None  # as published

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> WeightSetDetails:
        return WeightSetDetails(**{**data, "normalisation": _optional_normalisation(data["normalisation"])})


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """Weights that a network can start from, as searches, reports and the database store them; JSON both ways."""

    name: str
    origin: Origin
    network: str | None  # the name of its architecture in the zoo; None: the zoo does not have it
    num_classes: int
    resolution: int  # pixels, that it was trained at
    normalisation: Normalisation
    format: str  # of its file, in `autonl_core/nn/weight_formats/`
    sha256: str
    size_bytes: int
    source: str | None = None
    licence: str | None = None
    top1_pct: float | None = None  # as published
    given_arch: ArchSpec | None = None  # None: that of `network` in the zoo, which is looked up when it is needed

    @cached_property
    def arch(self) -> ArchSpec:
        """The architecture, for this input size and number of classes. Raises ArchError if the zoo does not have it."""
        if self.given_arch is not None:
            return self.given_arch
        return adapt(find_net(self.network or "").arch, resolution=self.resolution, num_classes=self.num_classes)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, always with the architecture, so that it stays the same if the zoo changes."""
        return asdict(replace(self, given_arch=None)) | {"given_arch": self.arch.to_json()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> WeightSet:
        arch = ArchSpec.from_json(data["given_arch"])
        return WeightSet(
            **{**data, "given_arch": arch, "normalisation": Normalisation.from_json(data["normalisation"])}
        )


@dataclass(frozen=True)
class InitialWeights:
    """The weight set that a search starts from, and where its file is."""

    weights: WeightSet
    path: Path


def network_of(arch: ArchSpec) -> str | None:
    """The name in the zoo of `arch`, whatever its input size and number of classes; None if the zoo has no such one."""
    size = {"resolution": arch.resolution, "num_classes": arch.num_classes}
    return next((net.name for net in ZOO.values() if adapt(net.arch, **size) == arch), None)


def _optional_normalisation(data: Mapping[str, Any] | None) -> Normalisation | None:
    return None if data is None else Normalisation.from_json(data)
