"""What a finished search hands over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from autonl_core.spec.config_sections import Constrained
from autonl_core.spec.formats import NetworkFormat
from autonl_core.spec.known_fields import known_fields
from autonl_core.spec.measured_network import MeasuredNetwork
from autonl_core.spec.not_sure import NotSure
from autonl_core.spec.pretrained_start import PretrainedStart
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.progress import ArchitectureRecord
from autonl_core.wording.latencies import latency_text

NOISY_SPREAD_PCT = 25.0  # latencies that spread further were disturbed by other work
StopReason = Literal["converged", "collapsed"]


@dataclass(frozen=True)
class ResultFile:
    """A file to hand over."""

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class FormatParity:
    """How the network in one format, scored on the whole test split by a process without our code, compares.

    A format that is `withheld`, with the reason, was made and scored, and is not handed over.
    """

    correct: int | None  # None: it could not be scored at all
    top1_pct: float | None
    max_logit_diff: float | None  # the largest, over images and classes, to PyTorch reading the safetensors file
    disagreeing_images: int | None  # whose class is another one
    size_bytes: int | None  # None: it could not be made at all
    sha256: str | None
    withheld: str | None = None


@dataclass(frozen=True)
class ConstraintCheck:
    """What the delivered network has of something that was limited besides MACs."""

    name: Constrained  # as in `constraints` of the search
    at_most: int
    achieved: int
    counted_on: str


@dataclass(frozen=True)
class Certificate:
    """MACs of one image, counted on the nodes of the exported graph by a counter that shares no code with others."""

    counted_on: str
    rule: str
    resolution: int
    target_macs: int
    achieved_macs: int
    slack_macs: int
    slack_pct: float
    by_op: Mapping[str, int]
    constraints: tuple[ConstraintCheck, ...] = ()

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Certificate:
        checks = tuple(ConstraintCheck(**known_fields(ConstraintCheck, each)) for each in data.get("constraints", ()))
        return Certificate(**{**known_fields(Certificate, data), "constraints": checks})


@dataclass(frozen=True)
class LatencyCheck:
    """The latency of the delivered network on the device that the search limits it for; one image, float32 ONNX."""

    device: str  # in words
    device_table_sha256: str
    at_most_ms: float
    predicted_ms: float  # by the device table
    measured_ms: float | None  # on the device; None: the bundle was made on another one
    not_measured: str | None = None  # why

    @property
    def text(self) -> str:
        """Predicted and measured, in words."""
        return latency_text(self.predicted_ms, self.at_most_ms, self.measured_ms, self.not_measured)


@dataclass(frozen=True)
class BaselineResult:
    """A baseline beside the result; without `test_correct` it could not be trained: `problem` says why.

    Earlier versions did not store what has a default.
    """

    name: str
    arch_string: str
    macs: int
    params: int
    test_correct: int | None
    test_top1_pct: float | None
    problem: str | None = None
    resolution: int | None = None  # pixels
    epochs: int | None = None  # passes over all training images
    work_share: float | None = None  # of the image-MACs that the search spent on its result: what this one took

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ClassResult:
    """Images of one class: how many there are, how many are recognised, how many are taken for it."""

    name: str
    train_images: int
    test_images: int
    correct: int  # test images of the class that are recognised
    predicted: int  # test images of any class that are predicted to be of it


@dataclass(frozen=True)
class SearchResult:
    """A verified network: its MACs fit the budget, and the reloaded checkpoint scored what is reported here."""

    architecture: ArchitectureRecord
    flops_budget: int
    slack_pct: float  # of the budget, unused
    test_correct: int
    test_images: int
    checkpoint: Path  # safetensors: weights, architecture, preprocessing and labels in one file
    checkpoint_sha256: str
    weights_sha256: str  # of the tensors alone: equal seeds give equal hashes
    seconds_by_phase: Mapping[str, float]
    comparison: Mapping[str, Any]  # the chosen network beside uniform and random ones at the same MACs
    stop_reason: StopReason
    exact: bool  # False: other hardware, threads or versions took over, or memory ran out: not repeatable
    notes: tuple[str, ...] = ()  # what a user should know, e.g. that the space is too coarse for this budget
    files: Mapping[str, ResultFile] = field(default_factory=dict)  # by FileFormat, and report-html, report-md
    parity: Mapping[NetworkFormat, FormatParity] = field(default_factory=dict)
    certificate: Certificate | None = None
    latency_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # medians, by form and batch size
    latency_spread_pct: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # 10th to 90th percentile
    machine: Mapping[str, Any] = field(default_factory=dict)  # that the latencies were measured on
    baselines: tuple[BaselineResult, ...] = ()  # in the order of the configuration
    init: PretrainedStart | None = None  # None: from random weights
    parent: str | None = None  # id of the search that it went on from; None: there is none
    networks: tuple[MeasuredNetwork, ...] = ()  # that were measured, the best by all scores first
    classes: tuple[ClassResult, ...] = ()  # in the order of the logits; earlier versions stored none
    test_right: str | None = None  # which test images, as `right_images.packed`; None: an earlier version
    not_sure: NotSure | None = None  # None: too few test images show it, or an earlier version
    layer_times_ms: Mapping[str, float] = field(default_factory=dict)  # one image; stem, block 1, ...
    latency_check: LatencyCheck | None = None  # None: latency is not limited
    calibration: ProbabilityCalibration | None = None  # None: too few test images, or an earlier version

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["checkpoint"] = self.checkpoint.name
        data["notes"] = list(self.notes)
        data["files"] = {
            kind: {"name": file.path.name, "sha256": file.sha256, "size_bytes": file.size_bytes}
            for kind, file in self.files.items()
        }
        data["baselines"] = [baseline.to_json() for baseline in self.baselines]
        data["networks"] = [network.to_json() for network in self.networks]
        data["classes"] = [asdict(of_class) for of_class in self.classes]
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> SearchResult:
        """The inverse of `to_json`, except that paths come back as bare file names.

        Also reads what earlier versions stored: fields they did not write get their defaults, and fields that have
        since been dropped are ignored.

        Raises:
            TypeError: a field without a default is missing.
        """
        values = known_fields(SearchResult, data)
        values["architecture"] = ArchitectureRecord(**known_fields(ArchitectureRecord, data["architecture"]))
        values["checkpoint"] = Path(data["checkpoint"])
        values["notes"] = tuple(data.get("notes", ()))
        values["files"] = {
            kind: ResultFile(Path(file["name"]), file["sha256"], file["size_bytes"])
            for kind, file in data.get("files", {}).items()
        }
        values["parity"] = {
            network_format: FormatParity(**known_fields(FormatParity, parity))
            for network_format, parity in data.get("parity", {}).items()
        }
        if (certificate := data.get("certificate")) is not None:
            values["certificate"] = Certificate.from_json(certificate)
        baselines = data.get("baselines", ())
        values["baselines"] = tuple(BaselineResult(**known_fields(BaselineResult, each)) for each in baselines)
        values["networks"] = tuple(
            MeasuredNetwork(**known_fields(MeasuredNetwork, network)) for network in data.get("networks", ())
        )
        values["classes"] = tuple(ClassResult(**known_fields(ClassResult, each)) for each in data.get("classes", ()))
        if (not_sure := data.get("not_sure")) is not None:
            values["not_sure"] = NotSure(**known_fields(NotSure, not_sure))
        if (latency := data.get("latency_check")) is not None:
            values["latency_check"] = LatencyCheck(**known_fields(LatencyCheck, latency))
        if (calibration := data.get("calibration")) is not None:
            values["calibration"] = ProbabilityCalibration(**known_fields(ProbabilityCalibration, calibration))
        if (start := data.get("init")) is not None:
            values["init"] = PretrainedStart.from_json(known_fields(PretrainedStart, start))
        return SearchResult(**values)
