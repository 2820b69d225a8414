"""What a search would be, if it were started."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import CountingRule, MacsRange, View
from autonl_core.spec import macs


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
    macs_counting_rule: CountingRule = macs.COUNTING_RULE
