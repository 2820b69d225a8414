"""Latency of a forward pass in each form on this machine: medians, interleaved, so drift affects all forms equally."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from autonl_core.nn.network import Network
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat

BATCH_SIZES = (1, 32)
_ROUNDS = 40
_MIN_ROUNDS = 3
_MEASURED_S = 2.0  # for one batch size; slow networks are measured in fewer rounds

Form = Callable[[Tensor], object]


def measure_latency(
    network: Network,
    files: Mapping[NetworkFormat, Path],
    resolution: int,
    between: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, float]]:
    """Milliseconds by form and batch size. `between` is called between rounds.

    Forms: `eager`, the network as it was trained; `fused`, its batch norms folded; and `files`, by format, which must
    have a `latency` form.
    """
    forms: dict[str, Form] = {"eager": network.eval(), "fused": network.fuse()}
    forms |= {name: _open(name, path) for name, path in files.items()}
    found: dict[str, dict[str, float]] = {name: {} for name in forms}
    for batch_size in BATCH_SIZES:
        x = torch.randn(batch_size, 3, resolution, resolution, generator=torch.Generator().manual_seed(0))
        for name, seconds in _interleaved(forms, x, between).items():
            found[name][str(batch_size)] = round(1000 * statistics.median(seconds), 4)
    return found


def machine() -> dict[str, str | int]:
    """What latencies depend on: processor, threads, version of PyTorch."""
    return {"processor": _processor(), "threads": torch.get_num_threads(), "torch": str(torch.__version__)}


def _open(name: NetworkFormat, path: Path) -> Form:
    form = NETWORK_FORMAT_SPECS[name].latency
    assert form is not None
    return form.open_file(path, torch.get_num_threads())


@torch.inference_mode()
def _interleaved(forms: Mapping[str, Form], x: Tensor, between: Callable[[], None]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for form in forms.values():
        form(x)  # warm-up: the first pass allocates memory and selects kernels
    started = time.perf_counter()
    for done in range(_ROUNDS):
        for name, form in forms.items():
            start = time.perf_counter()
            form(x)
            seconds[name].append(time.perf_counter() - start)
        between()
        if done + 1 >= _MIN_ROUNDS and time.perf_counter() - started > _MEASURED_S:
            break
    return seconds


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
