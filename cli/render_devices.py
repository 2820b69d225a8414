"""Renders devices for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render import fact_table, pct, plain_table


def device_table(devices: Iterable[Mapping[str, Any]]) -> RenderableType:
    """One row per device, with its name in full: that is what other commands take."""
    table = plain_table()
    table.add_column("name", no_wrap=True)
    table.add_column("space")
    for title in ("pixels", "blocks", "ms", "worst error"):
        table.add_column(title, justify="right")
    for title in ("measured", "device"):
        table.add_column(title)
    for device in devices:
        numbers = (f"{device['resolution']:,}", f"{device['blocks']:,}", _span_ms(device))
        error = pct(device["worst_error_pct"], 1)
        table.add_row(device["name"], device["space"], *numbers, error, device["measured_on"], Text(device["device"]))
    return table


def device_facts(device: Mapping[str, Any]) -> RenderableType:
    """What was measured on a device, and how well that predicts networks."""
    facts: list[tuple[str, RenderableType]] = [
        ("device", Text(device["device"])),
        ("measured", device["measured_on"]),
        ("space", f"{device['space']} at {device['resolution']:,} pixels, {device['blocks']:,} blocks"),
        ("networks", f"{_span_ms(device)} ms"),
        ("worst error", f"{pct(device['worst_error_pct'], 1)}, of networks unknown to the calibration"),
        ("SHA-256", device["sha256"]),
    ]
    return Group(Text(device["name"], style="bold"), fact_table(facts))


def _span_ms(device: Mapping[str, Any]) -> str:
    """What the whole networks took that were timed."""
    if device["fastest_ms"] is None:
        return "-"
    return f"{device['fastest_ms']:.3f} to {device['slowest_ms']:.3f}"
