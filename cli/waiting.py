"""How long a search still takes, and what it waits for, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
_STEP_S = 5  # seconds are given in steps of this many: no estimate is better


def time_range(low_s: float, high_s: float) -> str:
    """A range of durations, in the unit that suits its end: (700, 880) -> "about 11 to 15 min"."""
    size_s, unit = next((size_s, unit) for size_s, unit in _UNITS if high_s >= 2 * size_s or unit == "s")
    per_step = {"h": 10 if high_s < 10 * size_s else 1, "min": 1, "s": 1 / _STEP_S}[unit]
    low = math.floor(low_s / size_s * per_step) / per_step
    high = math.ceil(high_s / size_s * per_step) / per_step
    if low == high:
        return f"about {high:g} {unit}"
    return f"about {low:g} to {high:g} {unit}" if low else f"at most {high:g} {unit}"


def time_left(progress: Mapping[str, Any]) -> str:
    """How long a search still takes, or why that is not known yet; of an earlier service, the single figure."""
    low_s, high_s = progress.get("eta_low_s"), progress.get("eta_high_s")
    if low_s is not None and high_s is not None:
        return f"{time_range(low_s, high_s)} left"
    if progress["eta_s"] is not None:
        return f"{time_range(progress['eta_s'], progress['eta_s'])} left"
    reason = progress.get("eta_unknown")
    return f"time left not known: {reason}" if reason else "time left not known yet"


def queue_text(search: Mapping[str, Any]) -> str | None:
    """The place of a queued search, and when it may start; None: it is not queued, or the service does not say.

    At position N it gets the worker that is the Nth free: of those that run, or of the one that none holds.
    """
    queue = search.get("queue")
    if queue is None:
        return None
    place = f"number {queue['position']} in the queue"
    if queue["may_start_at"] is None:
        waits_for = queue["position"] if queue["running"] else queue["ahead"]
        if not waits_for:
            return f"{place}; starts as soon as a worker is free; if this lasts, check that a worker is running"
        return f"{place}; waits for {waits_for} {'search' if waits_for == 1 else 'searches'}; no estimate yet"
    wait_s = (datetime.fromisoformat(queue["may_start_at"]) - datetime.now(UTC)).total_seconds()
    return f"{place}; may start in {time_range(wait_s, wait_s)}" if wait_s >= 1 else f"{place}; may start any moment"
