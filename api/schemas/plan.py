"""What a search would be, if it were started."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import CountingRule, MacsRange, View, mirrors
from autonl_core.spec import macs
from store.compute_estimates import ComputeEstimate


@mirrors(
    ComputeEstimate,
    descriptions={
        "low": "CPU seconds",
        "high": "CPU seconds",
        "searches": "earlier ones of the same kind, by what they took; of a single one, it is within a factor of 2",
    },
)
class ComputeEstimateView(View):
    """What a request will take, with all its budgets and repeats, as if `max_compute_s` were not set."""


class PlanView(View):
    """The response to `validate_only`: the search would be accepted, and this is what it would search in."""

    valid: Literal[True] = True
    dataset: str
    flops_budget: int
    init: str = Field(description="the weight set that it would start from, or `none`")
    search_space: str
    resolution: int = Field(description="pixels; of several that would be tried, the most promising")
    resolutions: list[int] = Field(description="pixels that would be tried, the most promising first")
    num_classes: int
    feasible_range: MacsRange = Field(description="over all resolutions that are allowed")
    estimated_compute_s: ComputeEstimateView | None = Field(description="by the own earlier searches; null: unknown")
    estimate_unknown: str | None = Field(description="why there is no estimate")
    macs_counting_rule: CountingRule = macs.COUNTING_RULE
