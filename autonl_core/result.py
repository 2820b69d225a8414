"""What a finished search hands over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from autonl_core.progress import ArchitectureRecord

StopReason = Literal["converged", "budget_spent", "collapsed"]


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

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["checkpoint"] = self.checkpoint.name
        data["notes"] = list(self.notes)
        return data
