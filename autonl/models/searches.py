"""Searches, and what happens in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from autonl.models.results import ArchitectureSummary, Result
from autonl.states import RESTING_STATES


@dataclass(frozen=True)
class Progress:
    """How far a search is. `fraction` and `eta_s` are of the whole search, `epoch` and `step` of the current phase."""

    phase: str
    fraction: float
    epoch: int
    epochs: int
    step: int
    steps: int
    eta_s: float | None  # between eta_low_s and eta_high_s
    eta_low_s: float | None
    eta_high_s: float | None
    eta_unknown: str | None  # why it is not known
    baseline: str | None  # the baseline that is trained


@dataclass(frozen=True)
class QueuePlace:
    """The place of a queued search. Position 1 is the next to be started."""

    position: int
    ahead: int
    running: int
    may_start_at: datetime | None
    unknown: str | None  # why that is not known


@dataclass(frozen=True)
class Budget:
    """One of several budgets, and the search for it."""

    flops_budget: int
    search_id: str | None
    state: str | None
    macs: int | None
    test_top1_pct: float | None


@dataclass(frozen=True)
class Attempt:
    """An attempt to run a search."""

    attempt: int
    owner: str
    started_at: datetime
    ended_at: datetime | None
    exit_class: str | None
    detail: str | None
    compute_s: float


@dataclass(frozen=True)
class SearchError:
    """Why a search failed."""

    type: str
    detail: str


@dataclass(frozen=True)
class KeptSupernet:
    """What a search leaves to later ones: `init: "search:ID"`."""

    size_bytes: int
    kept_until: datetime | None


@dataclass(frozen=True)
class Search:
    """A search: configuration, progress and result."""

    id: str
    state: str  # queued, running, pausing, paused, cancelling, cancelled, succeeded or failed
    phase: str | None
    stop_reason: str | None
    dataset: str
    labels: Mapping[str, str]
    flops_budget: int
    budgets: tuple[Budget, ...]
    config: Mapping[str, Any]
    progress: Progress | None
    saved_step: int
    queue: QueuePlace | None
    best: ArchitectureSummary | None  # so far
    val_images: int
    result: Result | None  # once it has succeeded
    supernet: KeptSupernet | None
    error: SearchError | None
    attempts: tuple[Attempt, ...]
    created_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    links: Mapping[str, str]
    document: Mapping[str, Any] = field(repr=False, compare=False)  # everything, as it was sent

    @property
    def resting(self) -> bool:
        """Whether nothing more happens to it without a request."""
        return self.state in RESTING_STATES


@dataclass(frozen=True)
class SearchSummary:
    """A search in a list."""

    id: str
    state: str
    phase: str | None
    dataset: str
    labels: Mapping[str, str]
    flops_budget: int
    progress: Progress | None
    queue: QueuePlace | None
    best_arch_id: str | None
    macs: int | None
    test_top1_pct: float | None
    best_macs: int | None
    best_val_top1_pct: float | None
    val_images: int
    created_at: datetime
    finished_at: datetime | None
    document: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class MacsRange:
    """MACs of the smallest and the largest network of a search space."""

    min_macs: int
    max_macs: int


@dataclass(frozen=True)
class ComputeEstimate:
    """CPU seconds that a request will take, from `low` to `high`, by what `searches` earlier ones took."""

    low: float
    high: float
    searches: int


@dataclass(frozen=True)
class Plan:
    """What a search would be, if it were started."""

    dataset: str
    flops_budget: int
    init: str
    search_space: str
    resolution: int
    resolutions: tuple[int, ...]
    num_classes: int
    feasible_range: MacsRange
    estimated_compute_s: ComputeEstimate | None  # None: unknown, for the reason in `estimate_unknown`
    estimate_unknown: str | None
    document: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Event:
    """An event; `seq` counts 1, 2, 3, ... in each search. docs/events.md has every kind, with its detail."""

    seq: int
    kind: str
    at: datetime
    attempt: int
    detail: Mapping[str, Any]
