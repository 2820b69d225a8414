"""Running out of memory: the kernel's count of kills, and a limit that lets a process notice before its host does."""

from __future__ import annotations

import re
import resource
from pathlib import Path

_PROC = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def memory_kills(membership: Path = _PROC, root: Path = _ROOT) -> int:
    """How many processes of this control group the kernel has killed to reclaim memory; 0 where it keeps no count.

    A SIGKILL does not reveal its sender; this count, read before and after, does.
    """
    for line in _read(membership).splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":  # version 2: one tree for all controllers
            candidates = [root / group.lstrip("/") / "memory.events", root / "memory.events"]
        elif "memory" in controllers.split(","):
            candidates = [
                root / "memory" / group.lstrip("/") / "memory.oom_control",
                root / "memory/memory.oom_control",
            ]
        else:
            continue
        for file in candidates:
            if (match := re.search(r"^oom_kill (\d+)$", _read(file), re.MULTILINE)) is not None:
                return int(match[1])
    return 0


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def limit_memory(limit_bytes: int) -> None:
    """Limit the address space of this process and of those it starts.

    An allocation beyond it raises MemoryError, which a search can handle, instead of invoking the kernel's OOM killer.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, hard))
