"""What searches start from: datasets and weight sets, with what their checks found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A finding of the dataset check. Only errors make a dataset unusable."""

    severity: str
    code: str  # stable, for programs
    detail: str
    files: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class ClassCounts:
    """Images of a class by split."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class ReadingClass:
    """A class, and how many images it would have."""

    name: str
    images: int


@dataclass(frozen=True)
class Reading:
    """One way to read an ambiguous dataset; chosen by its `layout`."""

    layout: str
    detail: str
    classes: tuple[ReadingClass, ...]


@dataclass(frozen=True)
class DatasetReport:
    """What the check of a dataset found."""

    problems: tuple[Finding, ...]
    files: int
    images: int
    classes: tuple[ClassCounts, ...]
    readings: tuple[Reading, ...]
    sheets: int
    seconds: float


@dataclass(frozen=True)
class Dataset:
    """A dataset."""

    name: str
    state: str  # checking, ready or invalid
    kind: str
    classes: tuple[str, ...] | None
    image_size: int | None
    default_resolution: int | None
    train_images: int | None
    test_images: int | None
    fingerprint: str | None
    sha256: str | None
    size_bytes: int | None
    layout: str
    duplicates: str
    progress: float | None
    report: DatasetReport | None
    created_at: datetime | None
    document: Mapping[str, Any] = field(repr=False, compare=False)  # everything, as it was sent

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the check found; empty while it runs, and in lists."""
        return self.report.problems if self.report is not None else ()


@dataclass(frozen=True)
class WeightProblem:
    """Why weights cannot be used."""

    code: str
    detail: str
    tensors: tuple[str, ...]


@dataclass(frozen=True)
class Weights:
    """A weight set, from which networks can start."""

    name: str
    state: str  # checking, ready or refused
    origin: str
    network: str | None
    num_classes: int | None
    resolution: int | None
    source: str | None
    licence: str | None
    top1_pct: float | None
    format: str | None
    sha256: str
    size_bytes: int
    problems: tuple[WeightProblem, ...]
    progress: float | None
    created_at: datetime | None
    document: Mapping[str, Any] = field(repr=False, compare=False)
