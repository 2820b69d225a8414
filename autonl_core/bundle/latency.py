"""How long a forward pass takes in each form, on this machine: medians, measured in turn so that all see its moods."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autonl_core.nn.network import Network

BATCH_SIZES = (1, 32)
_ROUNDS = 40
_LEAST_ROUNDS = 3
_SECONDS = 2.0  # for one batch size; slow networks get fewer rounds

Form = Callable[[Tensor], object]


def measure_latency(
    network: Network, onnx_files: Mapping[str, Path], resolution: int, between: Callable[[], None] = lambda: None
) -> dict[str, dict[str, float]]:
    """Milliseconds by form and batch size. `between` is called between rounds.

    Forms: `eager`, the network as it was trained; `fused`, its batch norms folded; and the ONNX files by name.
    """
    forms: dict[str, Form] = {"eager": network.eval(), "fused": network.fuse()}
    forms |= {name: open_onnx(path, torch.get_num_threads()) for name, path in onnx_files.items()}
    found: dict[str, dict[str, float]] = {name: {} for name in forms}
    for batch_size in BATCH_SIZES:
        x = torch.randn(batch_size, 3, resolution, resolution, generator=torch.Generator().manual_seed(0))
        for name, seconds in _in_turn(forms, x, between).items():
            found[name][str(batch_size)] = round(1000 * statistics.median(seconds), 4)
    return found


def open_onnx(path: Path, threads: int) -> Form:
    """An ONNX file as something that can be called with (B, 3, R, R)."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.add_session_config_entry("session.force_spinning_stop", "1")  # or its threads slow down who comes next
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})


def machine() -> dict[str, Any]:
    """What latencies depend on."""
    return {"processor": _processor(), "threads": torch.get_num_threads(), "torch": str(torch.__version__)}


@torch.inference_mode()
def _in_turn(forms: Mapping[str, Form], x: Tensor, between: Callable[[], None]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for form in forms.values():
        form(x)  # the first pass allocates and chooses
    began = time.perf_counter()
    for done in range(_ROUNDS):
        for name, form in forms.items():
            start = time.perf_counter()
            form(x)
            seconds[name].append(time.perf_counter() - start)
        between()
        if done + 1 >= _LEAST_ROUNDS and time.perf_counter() - began > _SECONDS:
            break
    return seconds


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
