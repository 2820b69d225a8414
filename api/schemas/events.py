"""What a running search tells: events, metrics, logs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.base import View
from autonl_core.spec.progress import Phase


class EventView(View):
    """Something that happened; `seq` counts 1, 2, 3, ... in each search."""

    seq: int
    kind: str
    at: datetime
    attempt: int = Field(validation_alias="fence")
    detail: dict[str, Any]


class EventList(View):
    events: list[EventView]
    last_seq: int = Field(description="pass it as `after` to get what comes next")
    final: bool = Field(description="nothing will come any more")


class MetricPoint(View):
    """One point of the time series; a value that was not finite is null."""

    seq: int
    attempt: int = Field(validation_alias="fence")
    phase: Phase
    epoch: int
    at: datetime
    values: dict[str, float | None]


class MetricList(View):
    points: list[MetricPoint]
    last_seq: int = Field(description="pass it as `after` to get what comes next")


class AttemptLog(View):
    """The end of the log of one attempt."""

    attempt: int
    lines: list[str]


class LogList(View):
    logs: list[AttemptLog]
