"""Latency of a forward pass in each form on this machine: medians, interleaved, so drift affects all forms equally.

A measurement that other work disturbs is repeated, and the calmest one counts; how far its runs spread is part of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from autonl_core.host.cpus import processor_name
from autonl_core.nn.network import Network
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat
from autonl_core.spec.result import NOISY_SPREAD_PCT

BATCH_SIZES = (1, 32)
_ROUNDS = 40
_MIN_ROUNDS = 3
_REPEATS = 3
_MEASURED_S = 2.0  # for one batch size; slow networks are measured in fewer rounds
_REPEATED_S = 1.0  # no repeat goes on after that

Form = Callable[[Tensor], object]
BySize = Mapping[str, float]  # by batch size


@dataclass(frozen=True)
class Latencies:
    """By form, then by batch size: the median, and the distance from the 10th to the 90th percentile in % of it."""

    median_ms: Mapping[str, BySize]
    spread_pct: Mapping[str, BySize]


def measure_latency(
    network: Network,
    files: Mapping[NetworkFormat, Path],
    resolution: int,
    between: Callable[[], None] = lambda: None,
) -> Latencies:
    """Milliseconds by form and batch size. `between` is called between rounds.

    Forms: `eager`, the network as it was trained; `fused`, its batch norms folded; and `files`, by format, which must
    have a `latency` form.
    """
    forms: dict[str, Form] = {"eager": network.eval(), "fused": network.fuse()}
    forms |= {name: _open(name, path) for name, path in files.items()}
    fed_pixels = {name for name in files if NETWORK_FORMAT_SPECS[name].input == "pixels"}
    median_ms: dict[str, dict[str, float]] = {name: {} for name in forms}
    spread_pct: dict[str, dict[str, float]] = {name: {} for name in forms}
    for batch_size in BATCH_SIZES:
        x = torch.randn(batch_size, 3, resolution, resolution, generator=torch.Generator().manual_seed(0))
        pixels = x.mul(50).add(128).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
        inputs = {name: pixels if name in fed_pixels else x for name in forms}
        for name, seconds in _undisturbed(forms, inputs, between).items():
            median_ms[name][str(batch_size)] = round(1000 * float(np.median(seconds)), 4)
            spread_pct[name][str(batch_size)] = round(_spread_pct(seconds), 1)
    return Latencies(median_ms, spread_pct)


def machine() -> dict[str, str | int]:
    """What latencies depend on: processor, threads, version of PyTorch."""
    return {"processor": processor_name(), "threads": torch.get_num_threads(), "torch": str(torch.__version__)}


def _open(name: NetworkFormat, path: Path) -> Form:
    form = NETWORK_FORMAT_SPECS[name].latency
    assert form is not None
    return form.open_file(path, torch.get_num_threads())


def _undisturbed(
    forms: Mapping[str, Form], inputs: Mapping[str, Tensor], between: Callable[[], None]
) -> Mapping[str, Sequence[float]]:
    """Seconds of each run, of every form in its calmest measurement: one in which no form is noisy is the last."""
    began = time.perf_counter()
    measured = [_interleaved(forms, inputs, began + _MEASURED_S, between)]
    while _worst_spread_pct(measured[-1]) > NOISY_SPREAD_PCT and len(measured) < _REPEATS:
        if time.perf_counter() - began > _REPEATED_S:
            break
        measured.append(_interleaved(forms, inputs, began + _REPEATED_S, between))
    return {name: min((seconds[name] for seconds in measured), key=_spread_pct) for name in forms}


def _worst_spread_pct(seconds: Mapping[str, Sequence[float]]) -> float:
    return max(map(_spread_pct, seconds.values()))


def _spread_pct(seconds: Sequence[float]) -> float:
    low, middle, high = np.percentile(seconds, (10, 50, 90))
    return float(100 * (high - low) / middle)


@torch.inference_mode()
def _interleaved(
    forms: Mapping[str, Form], inputs: Mapping[str, Tensor], end: float, between: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of each run, by form; no new round begins after `end`, on the clock `perf_counter`."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for name, form in forms.items():
        form(inputs[name])  # warm-up: the first pass allocates memory and selects kernels
    for done in range(_ROUNDS):
        for name, form in forms.items():
            start = time.perf_counter()
            form(inputs[name])
            seconds[name].append(time.perf_counter() - start)
        between()
        if done + 1 >= _MIN_ROUNDS and time.perf_counter() > end:
            break
    return seconds
