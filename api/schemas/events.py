"""How a running search is followed: events, metrics and logs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.base import View
from autonl_core.spec.progress import Phase


class EventView(View):
    """An event; `seq` counts 1, 2, 3, ... in each search."""

    seq: int
    kind: str
    at: datetime
    attempt: int = Field(validation_alias="fence")
    detail: dict[str, Any]


class EventList(View):
    events: list[EventView]
    last_seq: int = Field(description="pass it as `after` to get the next ones")
    final: bool = Field(description="no more events will follow")


class MetricPoint(View):
    """A point of the time series; a value that was not finite is null."""

    seq: int
    attempt: int = Field(validation_alias="fence")
    phase: Phase
    epoch: int
    at: datetime
    values: dict[str, float | None]


class MetricList(View):
    points: list[MetricPoint]
    last_seq: int = Field(description="pass it as `after` to get the next ones")


class AttemptLog(View):
    """The end of an attempt's log."""

    attempt: int
    lines: list[str]


class LogList(View):
    logs: list[AttemptLog]
