"""The content of a report: numbers, names and arrays, gathered by `phases/reporting.py`.

Every number names its split and its unit. Nothing in this package loads tensor code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.datasets.check_report import SamePicture
from autonl_core.datasets.spec import GreyRange
from autonl_core.spec.comparison import Comparison
from autonl_core.spec.formats import NetworkFormat
from autonl_core.spec.history import History
from autonl_core.spec.pretrained_start import PretrainedStart
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.result import BaselineResult, Certificate, FormatParity, LatencyCheck, StopReason

Counts = NDArray[np.int64]
Image = NDArray[np.uint8]  # (R, R, 3)


@dataclass(frozen=True)
class DatasetFacts:
    """The images that were used. Counts are per class, (classes,), and cover readable images only.

    `val_counts` are those of the training images that the search held out for validation; the final training used them
    as well. `samples` are training images by class; `warnings` are findings of the dataset check, `reading` those that
    say where the classes come from, and `pairs` training images that show a test image.
    """

    name: str
    kind: str
    fingerprint: str
    classes: tuple[str, ...]
    image_size: int
    resolution: int
    train_counts: Counts
    val_counts: Counts
    test_counts: Counts
    mean: tuple[float, ...]
    std: tuple[float, ...]
    samples: Mapping[int, tuple[Image, ...]]
    warnings: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()
    pairs: tuple[SamePicture, ...] = ()
    grey_range: GreyRange | None = None  # the values of black and white in deep images; None: there are none
    is_mirrored: bool = False  # whether training images are, at random


@dataclass(frozen=True)
class LayerFacts:
    """Stem, a block, head or classifier. Times are medians for one image in eager PyTorch with folded batch norms."""

    name: str
    summary: str
    out_channels: int
    out_size: int
    macs: int
    params: int
    time_ms: float
    light_nl: str = ""  # ratio and stride; empty if the layer has no LightNL
    light_nl_macs: int = 0
    light_nl_ms: float = 0.0


@dataclass(frozen=True)
class ArchitectureFacts:
    """The chosen architecture, and how candidates compared."""

    arch_id: str
    arch_string: str
    macs: int
    params: int
    layers: tuple[LayerFacts, ...]
    space: str
    chosen_as: str  # origin of the chosen candidate
    comparison: Comparison  # of candidates at equal MACs


@dataclass(frozen=True)
class Mistake:
    """A test image with a wrong prediction, and the confidence of that prediction (0 to 1)."""

    label: int
    predicted: int
    confidence: float
    image: Image


@dataclass(frozen=True)
class TestFacts:
    """Results on the test split: labels, predictions and confidence, (N,) each, and the most confident mistakes."""

    correct: int
    correct_top5: int | None  # None: there are at most five classes
    images: int
    loss: float
    labels: Counts
    predicted: Counts
    confidence: NDArray[np.float32]
    mistakes: tuple[Mistake, ...]
    val_top1_pct: float | None  # of the chosen candidate after its short training
    val_images: int

    __test__ = False  # keeps pytest from collecting it


@dataclass(frozen=True)
class RunFacts:
    """How the search was run. `seconds_by_phase` ends where the report was written.

    `used`, by name such as `augment.policy`, is what became of settings that the configuration leaves open.
    """

    config: Mapping[str, Any]
    seconds_by_phase: Mapping[str, float]
    stop_reason: StopReason
    exact: bool
    notes: tuple[str, ...]
    environment: Mapping[str, str | int]
    machine: Mapping[str, str | int]
    used: Mapping[str, Any] = field(default_factory=dict)
    ended: datetime | None = None  # UTC


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """What the pictures of a report show: known before the bundle is."""

    architecture: ArchitectureFacts
    test: TestFacts
    budget_macs: int
    history: History
    baselines: tuple[BaselineResult, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts(PictureFacts):
    """Everything that a report shows. `latency_ms` is by form of the network, then by batch size."""

    dataset: DatasetFacts
    counting_rule: str
    run: RunFacts
    certificate: Certificate | None = None
    parity: Mapping[NetworkFormat, FormatParity] | None = None
    latency_ms: Mapping[str, Mapping[str, float]] | None = None
    latency_spread_pct: Mapping[str, Mapping[str, float]] | None = None  # from the 10th to the 90th percentile
    start: PretrainedStart | None = None  # None: from random weights
    parent: str | None = None  # id of the search that it went on from
    latency_check: LatencyCheck | None = None  # None: latency is not limited
    calibration: ProbabilityCalibration | None = None  # None: there are too few test images
