"""What a report tells, as plain facts: numbers, names and arrays. Whoever ran the search gathers them.

Every number names its split and its unit. Nothing here, and nothing in this package, loads tensor code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.spec.formats import NetworkFormat
from autonl_core.spec.history import History
from autonl_core.spec.result import BaselineResult, Certificate, FormatParity, StopReason

Counts = NDArray[np.int64]
Image = NDArray[np.uint8]  # (R, R, 3)


@dataclass(frozen=True)
class DatasetFacts:
    """The images that were learned from and tested on. Counts are per class, (classes,), of images that can be read.

    During the search `val_counts` of the training images only judged; the network that is handed over learned from
    them too. `samples` are training images by class; `warnings` what a check of the data set found.
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


@dataclass(frozen=True)
class LayerFacts:
    """Stem, a block, head or classifier. Times are medians of one image through the eager network, norms folded."""

    name: str
    summary: str
    out_channels: int
    out_size: int
    macs: int
    params: int
    time_ms: float
    light_nl: str = ""  # its ratio and stride; empty: the layer has none
    light_nl_macs: int = 0
    light_nl_ms: float = 0.0


@dataclass(frozen=True)
class ArchitectureFacts:
    arch_id: str
    arch_string: str
    macs: int
    params: int
    layers: tuple[LayerFacts, ...]
    space: str
    chosen_as: str  # where the chosen candidate came from
    comparison: Mapping[str, Any]  # of candidates at the same MACs, by origin


@dataclass(frozen=True)
class Mistake:
    """A test image that was taken for another class, and how sure the network was (0 to 1)."""

    label: int
    predicted: int
    confidence: float
    image: Image


@dataclass(frozen=True)
class TestFacts:
    """What the network says of the test split: labels, answers and confidence, (N,) each, and the worst mistakes."""

    correct: int
    correct_top5: int
    images: int
    loss: float
    labels: Counts
    predicted: Counts
    confidence: NDArray[np.float32]
    mistakes: tuple[Mistake, ...]
    val_top1_pct: float | None  # of the finalist, when it was chosen
    val_images: int

    __test__ = False  # no test class, whatever its name looks like


@dataclass(frozen=True)
class RunFacts:
    """How the search was run. `seconds_by_phase` is up to the report."""

    config: Mapping[str, Any]
    seconds_by_phase: Mapping[str, float]
    stop_reason: StopReason
    exact: bool
    notes: tuple[str, ...]
    environment: Mapping[str, str | int]
    machine: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """Everything. `latency_ms` is by form of the network, then by batch size."""

    dataset: DatasetFacts
    architecture: ArchitectureFacts
    test: TestFacts
    budget_macs: int
    counting_rule: str
    history: History
    run: RunFacts
    certificate: Certificate | None = None
    baselines: tuple[BaselineResult, ...] = ()
    parity: Mapping[NetworkFormat, FormatParity] | None = None
    latency_ms: Mapping[str, Mapping[str, float]] | None = None
