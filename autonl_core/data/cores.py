"""How many cores this process may use: fewer than the host has, in a container or under CPU affinity."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container, which sees its own control group as the root


def usable_cores(quota: Path = _QUOTA) -> int:
    """At least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time_us, period_us = map(float, quota.read_text().split())
    except (OSError, ValueError):  # no control groups of version 2, or "max": no quota
        return cores
    return max(1, min(cores, math.ceil(time_us / period_us)))
