"""What bit-for-bit repetition of a search depends on."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

import numba
import numpy as np
import torch

import autonl_core
from autonl_core.spec.config import SearchConfig
from autonl_core.training.parts import BatchParts


def repeats_exactly(device: torch.device) -> bool:
    """Whether the same steps give the same bits on `device`: elsewhere than on a CPU, only if PyTorch is held to it."""
    return device.type == "cpu" or torch.are_deterministic_algorithms_enabled()


def environment(device: torch.device, threads: int, config: SearchConfig, parts: BatchParts) -> Mapping[str, str | int]:
    """Everything that bit-for-bit repetition depends on. `threads`: that a search may use; `parts`: of its batches."""
    gpu = (
        {}
        if device.type != "cuda"
        else {"cuda": torch.version.cuda or "", "cudnn": torch.backends.cudnn.version() or 0}
    )
    ranks = {"ranks": parts.ranks_that_matter} if parts.ranks_that_matter > 1 else {}
    return {
        **gpu,
        **ranks,
        "precision": config.precision,
        "code": code_digest(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": str(device) if device.type == "cpu" else torch.get_device_module(device).get_device_name(device),
        "threads": threads,
        "machine": platform.machine(),
    }


@functools.cache
def code_digest() -> str:
    """A hash of this package's own source: another version may compute something else."""
    digest = hashlib.sha256()
    for file in sorted(Path(autonl_core.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
