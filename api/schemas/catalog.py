"""Search spaces and published networks."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from api.schemas.base import CountingRule, MacsRange, View
from autonl_core.spec import macs
from autonl_core.spec.space_families import SpaceFamily, get_space


class SpaceView(View):
    name: str
    summary: str
    min_resolution: int
    max_resolution: int
    macs_range: MacsRange | None = Field(description="at the given resolution; null if the space does not support it")

    @classmethod
    def from_family(cls, family: SpaceFamily, resolution: int | None, num_classes: int) -> Self:
        macs_range = None
        if resolution is not None and resolution in family.resolutions:
            macs_range = MacsRange.of(get_space(family.name, resolution, num_classes).macs_range())
        return cls(
            name=family.name,
            summary=family.summary,
            min_resolution=family.resolutions[0],
            max_resolution=family.resolutions[-1],
            macs_range=macs_range,
        )


class SpaceList(View):
    search_spaces: list[SpaceView]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE


class BaselineView(View):
    """A published network: the figures of its paper at 1,000 classes, and ours as requested."""

    name: str
    title: str
    published_macs: int
    published_params: int
    published_top1_pct: float = Field(description="on ImageNet")
    source: str
    arch_string: str | None = Field(description="null if no width multiplier comes within 3% of the requested budget")
    macs: int | None
    params: int | None


class BaselineList(View):
    baselines: list[BaselineView]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE
