"""Shared timing: all candidates interleaved, round after round, in one process; medians.

Interleaving makes drift and other load on the machine affect all candidates equally. In each round a candidate is
called once untimed, to bring caches and allocator into its own steady state, and then a few times timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autonl_core.host.memory import keep_freed_memory
from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "results"
_TIMED_CALLS = 3


def time_interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu"
) -> dict[str, float]:
    """Median seconds per call of each candidate."""
    return {name: statistics.median(times) for name, times in times_interleaved(candidates, rounds, device).items()}


def times_interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of each timed call of every candidate."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            call()
            for _ in range(_TIMED_CALLS):
                _synchronize(device)
                started = time.perf_counter()
                call()
                _synchronize(device)
                seconds[name].append(time.perf_counter() - started)
    return seconds


def saved_bytes(module: nn.Module, x: Tensor) -> int:
    """Bytes that one training forward pass of `module` saves for backward, not counting its parameters."""
    parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}
    saved: dict[int, int] = {}  # storage address -> bytes

    def record(t: Tensor) -> Tensor:
        saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(record, lambda t: t):
        output = module(x)  # kept alive, so that no storage is freed and reused while counting
    del output
    return sum(size for address, size in saved.items() if address not in parameters)


def arguments(description: str | None, rounds: int, only: Sequence[str] = ()) -> argparse.Namespace:
    """Parse the options common to all benchmarks; applies threads and allocator settings."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep-memory", action="store_true", help="let the allocator keep freed memory, as workers do")
    parser.add_argument("--only", choices=only, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.keep_memory and not keep_freed_memory():
        parser.error("--keep-memory is not supported by this allocator")
    return options


def write_result(name: str, options: argparse.Namespace, content: Mapping[str, Any]) -> None:
    """Write measurements, with a description of the machine, as JSON."""
    RESULTS.mkdir(exist_ok=True)
    suffix = "_keep_memory" if options.keep_memory else ""
    header = {"machine": describe(), "device": options.device, "rounds": options.rounds}
    (RESULTS / f"{name}{suffix}.json").write_text(json.dumps(header | dict(content), indent=2) + "\n")


def say(text: str) -> None:
    print(text, flush=True)


def _synchronize(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()
