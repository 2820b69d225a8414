"""A process and those that it started: their CPU time, and how to reach them all with a signal."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_USER = 11  # fields of /proc/PID/stat after the name: user, system, and the same of processes that were waited for
_ALL_TIMES = slice(_USER, _USER + 4)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, of those that it waited for, and of those that still run.

    0 once it is gone, and on a system without /proc, where compute is not counted.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    own_s = sum(map(int, fields[_ALL_TIMES])) / _TICKS
    return own_s + sum(cpu_s(started) for started in _started_by(pid))


def _started_by(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:  # it, or one of its threads, has just ended
        pass
    return found


def process_groups(pid: int) -> list[int]:
    """The group that a process leads, first, and those that processes lead which it started.

    On a system without /proc only the first.
    """
    found = [pid]
    for started in _started_by(pid):
        groups = process_groups(started)
        found += groups if _leads_group(started) else groups[1:]
    return found


def _leads_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


class CpuMeter:
    """What a process has used since this was made; it never falls, also when what it started ends unnoticed."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before_s = cpu_s(pid)
        self._seen_s = 0.0

    def read(self) -> float:
        """CPU seconds as far as they were seen: what a process used before it is gone has to be read before."""
        self._seen_s = max(self._seen_s, cpu_s(self._pid) - self._before_s)
        return self._seen_s
