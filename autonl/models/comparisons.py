"""Searches side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ComparedSearch:
    """A search, and the key figures of what it found; of the network, those of the best so far until there is a result.

    `test_top1_low_pct` and `test_top1_high_pct` are the ends of a 95% interval, `compute_s` are CPU seconds.
    """

    search_id: str
    state: str
    dataset: str
    labels: Mapping[str, str]
    flops_budget: int
    created_at: datetime
    arch_id: str | None
    macs: int | None
    params: int | None
    resolution: int | None
    peak_activation_bytes: int | None
    test_top1_pct: float | None
    test_top1_low_pct: float | None
    test_top1_high_pct: float | None
    test_correct: int | None
    test_images: int | None
    file_bytes: Mapping[str, int]  # by format
    latency_ms: Mapping[str, Any]  # by format and batch size
    search_s: float | None
    compute_s: float


@dataclass(frozen=True)
class DifferingSetting:
    """A setting in which the searches differ; `values` are in their order."""

    path: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class AccuracyDifference:
    """How far the result of one search is ahead of another one. Unless `paired`, error and chance are upper limits."""

    points: float
    error_points: float
    search_id: str
    other_id: str
    paired: bool
    chance: float
    may_be_chance: bool


@dataclass(frozen=True)
class ComparedLayer:
    """Stem, block, or head with all that follows it."""

    summary: str
    notation: str
    out_channels: int
    out_size: int
    macs: int
    params: int


@dataclass(frozen=True)
class AlignedLayers:
    """The same place in the architectures of all searches; None: that one has no block there."""

    place: str
    layers: tuple[ComparedLayer | None, ...]
    equal: bool


@dataclass(frozen=True)
class Recall:
    """How many test images of a class a result recognises."""

    correct: int
    recall_pct: float | None


@dataclass(frozen=True)
class ComparedClass:
    """A class, and what each result recognises of it; None: no result yet."""

    name: str
    test_images: int
    results: tuple[Recall | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Several searches side by side."""

    searches: tuple[ComparedSearch, ...]
    settings_that_differ: tuple[DifferingSetting, ...]
    accuracies_comparable: bool
    not_comparable: tuple[str, ...]  # why not
    accuracy_differences: tuple[AccuracyDifference, ...]  # of every pair that is comparable
    latencies_comparable: bool
    layers: tuple[AlignedLayers, ...]  # from input to output
    classes: tuple[ComparedClass, ...]
    document: Mapping[str, Any] = field(repr=False, compare=False)
