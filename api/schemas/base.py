"""What all answers share."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from autonl_core.spec.search_space import SearchSpace

CountingRule = Annotated[str, Field(description="what is counted as MACs, everywhere in this answer")]


class View(BaseModel):
    """Base of all answers; made from rows and dataclasses by attribute."""

    model_config = ConfigDict(from_attributes=True)


class MacsRange(View):
    """MACs of the smallest and the largest network."""

    min_macs: int
    max_macs: int

    @classmethod
    def of(cls, space: SearchSpace) -> Self:
        low, high = space.macs_range()
        return cls(min_macs=low, max_macs=high)
