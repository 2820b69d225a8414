"""Describes the machine that a measurement was made on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def describe(device: str = "cpu") -> dict[str, str | int]:
    """Processor, cores, threads, the versions of Python and torch, and the GPU where `device` is one."""
    gpu: dict[str, str | int] = {} if device == "cpu" else {"gpu": torch.cuda.get_device_name(device)}
    return gpu | {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
