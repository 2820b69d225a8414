"""What a tenant used, uses now, and may use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Self

from pydantic import Field

from api.schemas.base import View
from store.quotas import TenantLimits
from store.tenant_rows import Usage


class UsedView(View):
    """What was used in a time."""

    compute_s: float = Field(description="CPU seconds of search processes, failed and killed attempts too")
    searches: int = Field(description="that were queued")
    added_bytes: int = Field(description="of datasets, weights and artifacts that were stored")


class DayView(UsedView):
    """What was used on a day."""

    day: date = Field(description="in UTC")


class UsedNowView(View):
    """What is in use at this moment."""

    queued: int
    running: int
    stored_bytes: int
    event_streams: int = Field(description="open in the process that answers")


class LimitsView(TenantLimits):
    """The limits of the tenant; 0: none. `priority` is the highest that its searches may have."""


class UsageView(View):
    """The usage of a tenant. Days without any are left out."""

    first_day: date
    last_day: date
    days: list[DayView]
    total: UsedView
    now: UsedNowView
    limits: LimitsView

    @classmethod
    def of(cls, first: date, last: date, days: Sequence[Usage], now: UsedNowView, limits: TenantLimits) -> Self:
        total = UsedView(
            compute_s=sum(day.compute_s for day in days),
            searches=sum(day.searches for day in days),
            added_bytes=sum(day.added_bytes for day in days),
        )
        return cls(
            first_day=first,
            last_day=last,
            days=[DayView.model_validate(day) for day in days],
            total=total,
            now=now,
            limits=LimitsView(**limits.model_dump()),
        )
