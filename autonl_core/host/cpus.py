"""How many CPUs this process may use, and what its threads do while they wait for each other."""

from __future__ import annotations

import ctypes
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_cpus() -> int:
    """CPUs in this process's affinity mask, or fewer if the quota of its control group is smaller; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota_cpus(_OWN_CGROUP, _CGROUPS))))


def cpu_crowding() -> float:
    """How many want each CPU of this machine, on average over the last minute; at least 1, also if it is not known."""
    try:
        load, _, _ = os.getloadavg()
    except OSError:
        return 1.0
    return max(1.0, load / (os.cpu_count() or 1))


def processor_name() -> str:
    """What the processor of this machine calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def let_waiting_threads_sleep() -> None:
    """Make OpenMP's threads sleep while they wait for work, unless OMP_WAIT_POLICY is set. Only before torch is loaded.

    By default they spin, which takes the CPU from whatever else runs on it, this process's other threads included.
    """
    ctypes.CDLL(None).setenv(b"OMP_WAIT_POLICY", b"PASSIVE", 0)  # 0: never replaces what is set


def _quota_cpus(own_cgroup: Path, cgroups: Path) -> float:
    """CPU seconds per second that the control group of this process and those around it allow; infinity: no limit."""
    quotas = [math.inf]
    for folder in _own_and_outer_groups(own_cgroup, cgroups):
        try:
            limit_us, period_us = _read_quota(folder)
        except (OSError, ValueError):
            continue  # a group without a quota, or none of this kind
        if limit_us > 0:
            quotas.append(limit_us / period_us)
    return min(quotas)


def _own_and_outer_groups(own_cgroup: Path, cgroups: Path) -> Iterator[Path]:
    """Folders of control groups, of version 2 and of version 1's `cpu` controller, from the innermost outwards."""
    try:
        lines = own_cgroup.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups
        inner = root / path.lstrip("/")
        yield inner
        yield from (folder for folder in inner.parents if folder == root or root in folder.parents)


def _read_quota(folder: Path) -> tuple[float, float]:
    """Microseconds of CPU time per period, and the period."""
    version_2 = folder / "cpu.max"  # "max 100000" or "150000 100000"
    if version_2.exists():
        limit, period = version_2.read_text(encoding="utf-8").split()
        return (math.inf if limit == "max" else float(limit)), float(period)
    read = [(folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period")]
    return float(read[0]), float(read[1])  # a quota of -1: none
