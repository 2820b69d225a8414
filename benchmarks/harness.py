"""Shared timing: all candidates interleaved, round after round, in one process; medians.

Interleaving makes drift and other load on the machine affect all candidates equally. In each round a candidate is
called once untimed, to bring caches and allocator into its own steady state, and then a few times timed. CPU time, of
all threads of the process, is measured beside elapsed time: other load hardly changes it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autonl_core.host.memory import keep_freed_memory
from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "results"
_TIMED_CALLS = 3


@dataclass(frozen=True)
class Cost:
    """What one call took: elapsed time, and CPU time of all threads of this process."""

    wall_s: float
    cpu_s: float


def median_costs(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu", timed_calls: int = _TIMED_CALLS
) -> dict[str, dict[str, float]]:
    """Median seconds per call by candidate: `seconds` elapsed and `cpu_seconds`, as results are stored."""
    costs = costs_interleaved(candidates, rounds, device, timed_calls)
    return {
        "seconds": {name: statistics.median(cost.wall_s for cost in of_one) for name, of_one in costs.items()},
        "cpu_seconds": {name: statistics.median(cost.cpu_s for cost in of_one) for name, of_one in costs.items()},
    }


def time_interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu"
) -> dict[str, float]:
    """Median seconds elapsed per call of each candidate."""
    return median_costs(candidates, rounds, device)["seconds"]


def times_interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds elapsed in each timed call of every candidate."""
    costs = costs_interleaved(candidates, rounds, device)
    return {name: [cost.wall_s for cost in of_one] for name, of_one in costs.items()}


def costs_interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu", timed_calls: int = _TIMED_CALLS
) -> dict[str, list[Cost]]:
    """The cost of each timed call of every candidate."""
    costs: dict[str, list[Cost]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            call()
            for _ in range(timed_calls):
                _synchronize(device)
                started, cpu_started = time.perf_counter(), time.process_time()
                call()
                _synchronize(device)
                costs[name].append(Cost(time.perf_counter() - started, time.process_time() - cpu_started))
    return costs


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


def arguments(
    description: str | None, rounds: int, only: Sequence[str] = (), *, takes_path: bool = False
) -> argparse.Namespace:
    """Parse the options common to all benchmarks; applies threads and allocator settings."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep-memory", action="store_true", help="let the allocator keep freed memory, as workers do")
    parser.add_argument("--only", choices=only, help=argparse.SUPPRESS)
    if takes_path:
        parser.add_argument("--path", type=Path, required=True, help=argparse.SUPPRESS)
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
