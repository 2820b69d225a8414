"""The curves of a run, as its report draws them: every point that was reported, bounded, and part of the run states."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autonl_core.spec.progress import PHASES, Phase

MAX_POINTS = 2000  # of a phase


@dataclass(frozen=True)
class Point:
    """One point of the time series: `at_s` seconds after the search began, over all attempts."""

    phase: Phase
    epoch: int
    at_s: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class PlacedNetwork:
    """The network after an epoch of the supernet, or (`epoch` None) as derived; it has no layer at `skipped` positions,
    which count from 1."""

    epoch: int | None
    arch_string: str
    skipped: tuple[int, ...]


@dataclass
class _Series:
    """Every `stride`-th point of a phase, of `seen` that came."""

    stride: int = 1
    seen: int = 0
    points: list[Point] = field(default_factory=list)


class History:
    """Points by phase. Of more than `MAX_POINTS` it keeps an even choice: every second, fourth, eighth one."""

    def __init__(self) -> None:
        self._series: dict[Phase, _Series] = {}
        self._networks: dict[int | None, PlacedNetwork] = {}

    def add(self, phase: Phase, epoch: int, at_s: float, values: Mapping[str, float]) -> None:
        series = self._series.setdefault(phase, _Series())
        if series.seen % series.stride == 0:
            if len(series.points) == MAX_POINTS:
                series.points = series.points[::2]
                series.stride *= 2
            if series.seen % series.stride == 0:
                series.points.append(Point(phase, epoch, at_s, dict(values)))
        series.seen += 1

    def place(self, network: PlacedNetwork) -> None:
        """Keep the network of an epoch, or the one that was derived."""
        self._networks[network.epoch] = network

    @property
    def networks(self) -> tuple[PlacedNetwork, ...]:
        """One for each epoch of the supernet, in order, and last the one that was derived."""
        return tuple(sorted(self._networks.values(), key=lambda one: math.inf if one.epoch is None else one.epoch))

    def of(self, phase: Phase) -> tuple[Point, ...]:
        """The points of a phase, in order."""
        return tuple(self._series[phase].points) if phase in self._series else ()

    def curve(self, phase: Phase, name: str) -> tuple[list[int], list[float]]:
        """Epochs and finite values of one quantity."""
        found = [(p.epoch, p.values[name]) for p in self.of(phase) if math.isfinite(p.values.get(name, math.nan))]
        return [epoch for epoch, _ in found], [value for _, value in found]

    def to_state(self) -> dict[str, Any]:
        """Plain lists, numbers and strings: `from_state` gives the same history back."""
        networks = [[one.epoch, one.arch_string, list(one.skipped)] for one in self.networks]
        series = {
            phase: {
                "stride": series.stride,
                "seen": series.seen,
                "points": [[p.epoch, p.at_s, dict(p.values)] for p in series.points],
            }
            for phase, series in self._series.items()
        }
        return series | {"networks": networks}

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> History:
        history = History()
        for epoch, arch_string, skipped in state.get("networks", ()):  # earlier versions kept none
            history.place(PlacedNetwork(epoch, arch_string, tuple(skipped)))
        for phase in PHASES:
            if phase in state:
                saved = state[phase]
                points = [Point(phase, epoch, at_s, values) for epoch, at_s, values in saved["points"]]
                history._series[phase] = _Series(saved["stride"], saved["seen"], points)
        return history
