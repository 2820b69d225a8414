"""A bundle as a value: where its files are, and what was measured on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autonl_core.bundle.latency import Latencies
from autonl_core.spec.formats import NetworkFormat
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.result import Certificate, ClassResult, FormatParity, LatencyCheck
from autonl_core.training.evaluate import Score


@dataclass(frozen=True)
class Bundle:
    """What was made and measured. `score` is that of the safetensors file, by the process without this package."""

    folder: Path
    score: Score
    parity: Mapping[NetworkFormat, FormatParity]
    certificate: Certificate
    latencies: Latencies
    machine: Mapping[str, str | int]
    versions: Mapping[str, str]  # of the packages that scored it
    origin: str = "unknown"  # how the candidate was found that became the network
    classes: tuple[ClassResult, ...] = ()  # what the search's own process counted
    latency_check: LatencyCheck | None = None  # None: latency is not limited
    calibration: ProbabilityCalibration | None = None  # None: there are too few test images
