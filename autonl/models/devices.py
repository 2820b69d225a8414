"""Devices that searches limit latency on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Device:
    """A device with what its table says; times are of one image, float32, on the CPU."""

    name: str
    device: str  # in words
    space: str
    resolution: int
    measured_on: str
    blocks: int
    fastest_ms: float | None
    slowest_ms: float | None
    worst_error_pct: float | None
    sha256: str
    size_bytes: int
    created_at: datetime
    document: Mapping[str, Any] = field(repr=False, compare=False)  # everything, as it was sent
