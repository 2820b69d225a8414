"""AutoNL-S and AutoNL-L compared with the straightforward formulation: forward, training step, fused inference.

    python -m benchmarks.networks

At 224 pixels and 1,000 classes, each network in its own process, because the allocator state left by one network
changes the timing of the next. The share of the limit is that of ours; a training step's limit is three forward passes.
"Fused" folds batch norms into convolutions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.nn.network import Network, build_network
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.zoo import ZOO
from benchmarks.harness import arguments, median_costs, saved_bytes, say, write_result
from benchmarks.limits import Limits, forward_limit_s, measure_limits
from benchmarks.machine import describe
from benchmarks.straightforward import PlainNetwork

NETWORKS = ("autonl_s", "autonl_l")
# (run, batch size, factor on rounds, lowest acceptable ratio)
MEASURED = (("forward", 1, 10, 1.35), ("forward", 32, 1, 1.9), ("fused", 1, 10, 0.0), ("fused", 32, 1, 2.5))
TRAINING = ("training step", 32, 1, 1.6)
_MEMORY_BATCH = 4


def networks_of(arch: ArchSpec, device: str) -> tuple[PlainNetwork, Network]:
    """Both formulations with equal weights, after a few batches through their batch norms."""
    ours, plain = build_network(arch, seed=0).to(device).train(), PlainNetwork(arch).to(device)
    with torch.no_grad():
        for _ in range(3):
            ours(torch.randn(8, 3, arch.resolution, arch.resolution, device=device))
    plain.load_state_dict(ours.state_dict())
    return plain.eval(), ours.eval()


def measure(arch: ArchSpec, rounds: int, device: str, limits: Limits) -> list[dict[str, Any]]:
    """Measure every kind of run of one architecture."""
    plain, ours = networks_of(arch, device)
    runs: dict[str, nn.Module] = {"forward": ours, "fused": ours.fuse()}
    rows = []
    for run, batch, rounds_factor, least in MEASURED:
        x = torch.randn(batch, 3, arch.resolution, arch.resolution, device=device)
        with torch.no_grad():
            error = float((plain(x) - runs[run](x)).abs().max() / plain(x).abs().max())
            assert error < 1e-4, f"{run}: the two formulations differ by {error}"
            candidates = {"straightforward": partial(plain, x), "ours": partial(runs[run], x)}
            costs = median_costs(candidates, rounds_factor * rounds, device)
        limit_s = forward_limit_s(ours, x, limits)
        rows.append({"what": run, "batch": batch, **costs, "limit_s": limit_s, "least": least})
    return [*rows, _measure_training(plain, ours, rounds, device, limits)]


def _measure_training(plain: PlainNetwork, ours: Network, rounds: int, device: str, limits: Limits) -> dict[str, Any]:
    run, batch, _, least = TRAINING
    arch = ours.arch
    x = torch.randn(batch, 3, arch.resolution, arch.resolution, device=device)
    labels = torch.randint(0, arch.num_classes, (batch,), device=device)
    limit_s = 3 * forward_limit_s(ours, x, limits)
    steps = {
        "straightforward": training_step(plain.train(), x, labels),
        "ours": training_step(ours.train(), x, labels),
    }
    costs = median_costs(steps, max(1, rounds // 2), device)
    small_batch = x[:_MEMORY_BATCH]
    saved = {"straightforward": saved_bytes(plain, small_batch), "ours": saved_bytes(ours, small_batch)}
    return {"what": run, "batch": batch, **costs, "limit_s": limit_s, "least": least, "saved_bytes": saved}


def training_step(network: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], None]:
    """Forward, loss and backward; no optimiser, whose cost is the same for all networks of equal weights."""

    def step() -> None:
        network.zero_grad()
        F.cross_entropy(network(x), labels).backward()

    return step


def measure_alone(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run `measure` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.networks", "--only", name, "--rounds", str(options.rounds)]
    command += ["--threads", str(options.threads), "--device", options.device]
    command += ["--keep-memory"] if options.keep_memory else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> int:
    options = arguments(__doc__, rounds=4, only=NETWORKS)
    if options.only:
        limits = measure_limits(options.device)
        rows = measure(ZOO[options.only].arch, options.rounds, options.device, limits)
        say(json.dumps({"limits": vars(limits), "runs": rows}))
        return 0
    say(f"whole networks at 224 pixels, {describe()}")
    columns = f"{'straightf. ms':>15}{'ours ms':>10}{'ratio':>7}{'CPU':>7}{'of limit':>10}"
    say(f"{'network':<10}{'run':<15}{'batch':>6}{columns}")
    networks, missed = {}, 0
    for name in NETWORKS:
        networks[name] = measure_alone(name, options)
        for row in networks[name]["runs"]:
            plain_s, ours_s = row["seconds"]["straightforward"], row["seconds"]["ours"]
            cpu_ratio = row["cpu_seconds"]["straightforward"] / row["cpu_seconds"]["ours"]
            say(
                f"{name:<10}{row['what']:<15}{row['batch']:>6}{1e3 * plain_s:>15.1f}{1e3 * ours_s:>10.1f}"
                f"{plain_s / ours_s:>7.2f}{cpu_ratio:>7.2f}{row['limit_s'] / ours_s:>10.0%}"
            )
            missed += plain_s < row["least"] * ours_s
        saved = networks[name]["runs"][-1]["saved_bytes"]
        say(f"{name:<10}saved for backward: {saved['ours'] / saved['straightforward']:.2f} of straightforward")
    write_result("networks", options, {"networks": networks})
    if missed and not options.keep_memory:
        say(f"{missed} runs are below their target ratio")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
