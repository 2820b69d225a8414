"""What a search produced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ArchitectureSummary:
    """An architecture with its cost and accuracies."""

    arch_id: str
    arch_string: str
    macs: int
    params: int
    val_top1_pct: float | None
    test_top1_pct: float | None
    test_top5_pct: float | None
    trained: bool


@dataclass(frozen=True)
class File:
    """A file to download."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Parity:
    """The network in one format, evaluated on the whole test split by a process without AutoNL's code."""

    correct: int | None
    top1_pct: float | None
    max_logit_diff: float | None
    disagreeing_images: int | None
    size_bytes: int | None
    sha256: str | None
    withheld: str | None  # why the file is not available


@dataclass(frozen=True)
class ConstraintCheck:
    """What the network has of something that the search limits besides MACs."""

    name: str
    at_most: int
    achieved: int
    counted_on: str


@dataclass(frozen=True)
class Certificate:
    """That a network stays within its budget, and within its constraints."""

    counted_on: str
    rule: str
    resolution: int
    target_macs: int
    achieved_macs: int
    slack_macs: int
    slack_pct: float
    by_op: Mapping[str, int]
    constraints: tuple[ConstraintCheck, ...] = ()  # empty: a service of an earlier version, or there are none


@dataclass(frozen=True)
class Baseline:
    """A published network at the same budget, trained and scored beside the result."""

    name: str
    arch_string: str
    macs: int
    params: int
    test_correct: int | None
    test_top1_pct: float | None
    problem: str | None
    resolution: int | None
    epochs: int | None
    work_share: float | None


@dataclass(frozen=True)
class ClassResult:
    """The result for one class."""

    name: str
    train_images: int
    test_images: int
    correct: int
    predicted: int


@dataclass(frozen=True)
class NotSure:
    """Below which probability, 0 to 1, of the best class fewer than half of the test images are right."""

    below: float
    test_images: int
    test_correct: int


@dataclass(frozen=True)
class ProbabilityCalibration:
    """How far probabilities are from how often the network is right: expected calibration error, 0 to 1."""

    temperature: float  # folded into the classifier
    test_images: int
    error_before: float
    error_after: float


@dataclass(frozen=True)
class LatencyCheck:
    """The latency of the network on the device that the search limits it for: one image, float32, ONNX Runtime."""

    device: str  # in words
    device_table_sha256: str
    at_most_ms: float
    predicted_ms: float
    measured_ms: float | None  # None: the network was exported on another machine
    not_measured: str | None  # why


@dataclass(frozen=True)
class Result:
    """What a search produced. `files` are by format; `parity` includes formats that are withheld."""

    architecture: ArchitectureSummary
    flops_budget: int
    slack_pct: float
    test_correct: int
    test_images: int
    checkpoint_sha256: str
    weights_sha256: str
    seconds_by_phase: Mapping[str, float]
    comparison: Mapping[str, Any]
    stop_reason: str
    exact: bool
    notes: tuple[str, ...]
    files: Mapping[str, File]
    parity: Mapping[str, Parity]
    certificate: Certificate | None
    latency_ms: Mapping[str, Any]
    latency_spread_pct: Mapping[str, Any]
    machine: Mapping[str, Any]
    baselines: tuple[Baseline, ...]
    init: Mapping[str, Any] | None  # the pretrained weights that it started from
    parent: str | None
    classes: tuple[ClassResult, ...]
    not_sure: NotSure | None
    layer_times_ms: Mapping[str, float]
    latency_check: LatencyCheck | None = None  # None: latency is not limited, or a service of an earlier version
    calibration: ProbabilityCalibration | None = None  # None: too few test images, or a service of an earlier version
