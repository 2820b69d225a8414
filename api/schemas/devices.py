"""Devices: what was measured on them, and with what."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.base import View
from autonl_core.spec.device_table import NS_PER_MS, DeviceTable
from store.devices import DeviceEntry


class DeviceView(View):
    """A device with what its table says; times are of one image, float32, on the CPU."""

    name: str
    device: str = Field(description="processor, threads and version of ONNX Runtime, in words")
    space: str = Field(description="the search space whose blocks were timed")
    resolution: int = Field(description="pixels, at which they were")
    measured_on: str = Field(description="date in UTC")
    blocks: int = Field(description="distinct ones, each timed alone")
    fastest_ms: float | None = Field(description="of the whole networks that were timed; null: none was")
    slowest_ms: float | None = Field(description="likewise")
    worst_error_pct: float | None = Field(
        description="of the prediction for a network that the calibration did not see; null: there is none"
    )
    sha256: str = Field(description="of the content of the table: `device_table_sha256` of searches")
    size_bytes: int
    created_at: datetime
    table: DeviceTable | None = Field(description="the device table itself; null in lists")

    @classmethod
    def from_entry(cls, entry: DeviceEntry, *, complete: bool = True) -> Self:
        """The view of `entry`; in lists not `complete`, without the table."""
        table, networks = entry.table, entry.table.calibration.networks
        taken_ms = [network.measured_ns / NS_PER_MS for network in networks]
        is_tested = any(network.held_out for network in networks)
        return cls(
            name=entry.name,
            device=table.device,
            space=table.space,
            resolution=table.resolution,
            measured_on=table.machine.date,
            blocks=len(table.blocks_ns),
            fastest_ms=min(taken_ms, default=None),
            slowest_ms=max(taken_ms, default=None),
            worst_error_pct=round(table.calibration.worst_pct(held_out=True), 1) if is_tested else None,
            sha256=entry.sha256,
            size_bytes=entry.size_bytes,
            created_at=entry.created_at,
            table=table if complete else None,
        )


class DeviceList(View):
    devices: list[DeviceView]
