"""The cost of a search step relative to a training step of the largest network in the search space.

Method: all kinds of step are interleaved, round after round, in one process, so that drift affects all of them equally;
medians of CPU time over rounds, and their ratio to the plain step. Peak memory: each kind in a fresh process, the
growth of its resident set over a few steps, relative to before the first.

    plain     forward, backward, update of the largest network
    gated     one pass of the supernet that yields gradients of all weights and all gates (autonl-paper's step)
    weights   two sampled subnets on one batch, update of the shared weights (autonl)
    slopes    gradients of the gates on a validation batch, summed (autonl)
    search    the average step of autonl: one weight step, and a slope step every few of them
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autonl_core.nn.network import build_network
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.algorithms.autonl import SampledGates
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.optim import make_optimizer
from autonl_core.training.parts import BatchParts
from benchmarks.harness import RESULTS, say
from benchmarks.machine import describe

KINDS = ("plain", "gated", "weights", "slopes")
LIMITS = {"cpu": 1.10, "memory": 1.20}
RESULT = RESULTS / "search_step.json"
BATCH_SIZE = 64
MEMORY_STEPS = 3

Step = Callable[[], object]


def make_step(kind: str, space_name: str, resolution: int, budget_macs: int) -> Step:
    """One kind of step on random images."""
    table = GateTable(get_space(space_name, resolution, 10))
    x = torch.randn(BATCH_SIZE, 3, resolution, resolution).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (BATCH_SIZE,))
    if kind == "plain":
        network = build_network(table.space.largest(), seed=0).train()
        return _updating(network, lambda: F.cross_entropy(network(x), y).backward())
    config = SearchConfig.model_validate({"dataset": "random", "flops_budget": budget_macs})
    supernet, rng = Supernet(table, seed=0), np.random.default_rng(0)
    learner = SampledGates(supernet, config)
    if kind == "weights":
        return _updating(supernet, lambda: learner.weight_step(x, y, rng, 1.0, BatchParts()))
    if kind == "slopes":
        return lambda: learner.slope_step(x, y, rng, 1.0, BatchParts())

    def gated() -> None:
        gates = torch.ones(len(table.gates), requires_grad=True)
        F.cross_entropy(supernet.forward_gated(x, gates), y).backward()

    return _updating(supernet, gated)


def _updating(module: nn.Module, backward: Callable[[], object]) -> Step:
    optimizer = make_optimizer(module, "sgd", lr=0.01, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        backward()
        optimizer.step()

    return step


def measure_cpu(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Median CPU seconds per step."""
    times: dict[str, list[float]] = {kind: [] for kind in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for kind, step in steps.items():
            started = time.process_time()
            step()
            times[kind].append(time.process_time() - started)
    return {kind: statistics.median(values) for kind, values in times.items()}


def peak_growth_bytes(kind: str, arguments: argparse.Namespace) -> int:
    """Growth of the peak resident set over a few steps of `kind`, in its own process."""
    command = [sys.executable, "-m", "benchmarks.search_step", "--memory-of", kind, "--space", arguments.space]
    command += ["--resolution", str(arguments.resolution), "--budget", str(arguments.budget)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def _print_growth(kind: str, arguments: argparse.Namespace) -> None:
    step = make_step(kind, arguments.space, arguments.resolution, arguments.budget)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak to what is resident now
    before = _status_bytes("VmRSS")
    for _ in range(MEMORY_STEPS):
        step()
    say(str(_status_bytes("VmHWM") - before))


def _status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--space", default="mobile-32")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--budget", type=int, default=4_500_000, help="MACs budget of the sampled subnets")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--threads", type=int, default=1, help="with one thread, CPU time includes no waiting for other threads"
    )
    parser.add_argument("--memory-of", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        _print_growth(arguments.memory_of, arguments)
        return 0
    steps = {kind: make_step(kind, arguments.space, arguments.resolution, arguments.budget) for kind in KINDS}
    cpu_s = measure_cpu(steps, arguments.rounds)
    memory_bytes = {kind: peak_growth_bytes(kind, arguments) for kind in KINDS}
    cpu_s["search"] = cpu_s["weights"] + cpu_s["slopes"] / SampledGates.slope_interval
    memory_bytes["search"] = max(memory_bytes["weights"], memory_bytes["slopes"])
    say(f"{arguments.space} at {arguments.resolution} pixels, batch {BATCH_SIZE}, {describe()}")
    say(f"{'step':<10}{'CPU ms':>10}{'ratio':>8}{'peak MiB':>11}{'ratio':>8}")
    for kind in cpu_s:
        ratios = cpu_s[kind] / cpu_s["plain"], memory_bytes[kind] / memory_bytes["plain"]
        mib = memory_bytes[kind] / 2**20
        say(f"{kind:<10}{1000 * cpu_s[kind]:>10.1f}{ratios[0]:>8.2f}{mib:>11.0f}{ratios[1]:>8.2f}")
    RESULT.parent.mkdir(exist_ok=True)
    result = {"machine": describe(), "batch_size": BATCH_SIZE, "rounds": arguments.rounds}
    result |= {name: getattr(arguments, name) for name in ("space", "resolution", "budget")}
    RESULT.write_text(json.dumps(result | {"cpu_s": cpu_s, "peak_growth_bytes": memory_bytes}, indent=2) + "\n")
    exceeding = [kind for kind in cpu_s if cpu_s[kind] > LIMITS["cpu"] * cpu_s["plain"]]
    exceeding += [kind for kind in cpu_s if memory_bytes[kind] > LIMITS["memory"] * memory_bytes["plain"]]
    if exceeding:
        say(f"over the limits {LIMITS}: {', '.join(exceeding)}")
    return 1 if exceeding else 0


if __name__ == "__main__":
    sys.exit(main())
