"""How everything here is timed: all candidates in turn, round after round, in one process; medians.

Whatever else the machine does then hits all of them alike. A turn is one call that is not timed, so that caches and
allocator are in the state that this candidate leaves them in, then a few that are.
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

from autonl_core.host_memory import keep_freed_memory
from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "results"
_TIMED_CALLS = 3


def time_in_turn(candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu") -> dict[str, float]:
    """Median seconds of a call of each candidate."""
    return {name: statistics.median(times) for name, times in times_in_turn(candidates, rounds, device).items()}


def times_in_turn(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of every timed call of each candidate."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            call()
            for _ in range(_TIMED_CALLS):
                _wait_for(device)
                started = time.perf_counter()
                call()
                _wait_for(device)
                seconds[name].append(time.perf_counter() - started)
    return seconds


def saved_bytes(module: nn.Module, x: Tensor) -> int:
    """What one training pass of `module` keeps for its backward pass, its own parameters aside."""
    own = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, int] = {}

    def keep(t: Tensor) -> Tensor:
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        output = module(x)  # held: what it keeps must stay where it is while it is counted
    del output
    return sum(size for address, size in kept.items() if address not in own)


def arguments(description: str | None, rounds: int, only: Sequence[str] = ()) -> argparse.Namespace:
    """What every benchmark can be told; sets threads and allocator."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--keep-memory", action="store_true", help="let the allocator keep freed memory, as our workers do"
    )
    parser.add_argument("--only", choices=only, help=argparse.SUPPRESS)
    found = parser.parse_args()
    torch.set_num_threads(found.threads)
    if found.keep_memory and not keep_freed_memory():
        parser.error("this allocator cannot be told to keep memory")
    return found


def write_result(name: str, options: argparse.Namespace, content: Mapping[str, Any]) -> None:
    """Keep what was measured, with what it was measured on, as JSON."""
    RESULTS.mkdir(exist_ok=True)
    suffix = "_keep_memory" if options.keep_memory else ""
    head = {"machine": describe(), "device": options.device, "rounds": options.rounds}
    (RESULTS / f"{name}{suffix}.json").write_text(json.dumps(head | dict(content), indent=2) + "\n")


def say(text: str) -> None:
    print(text, flush=True)


def _wait_for(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()
