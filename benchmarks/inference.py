"""The fused network compared with PyTorch's operators and with ONNX Runtime: AutoNL-S, and a network of `mobile-32`.

    python -m benchmarks.inference

"operators" is the fused network with its compiled kernels switched off. With one thread and with two, each pair in its
own process, whose waiting threads sleep; medians of elapsed and CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from autonl_core.bundle.files import model
from autonl_core.bundle.formats import prepare_graph
from autonl_core.export.formats.onnx import open_onnx, save_onnx
from autonl_core.nn.blocks import inference
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.space_families import get_space
from autonl_core.spec.zoo import ZOO
from autonl_core.supernet.budget import log_scores, project
from autonl_core.supernet.gates import GateTable
from benchmarks.harness import arguments, median_costs, say, write_result
from benchmarks.machine import describe

NETWORKS = ("autonl_s", "mobile-32")
BATCHES = ((1, 10), (32, 1))  # (images, factor on rounds)
THREADS = (1, 2)
_LEAST_MACS, _MOST_MACS = 4_300_000, 4_500_000

Form = Callable[[Tensor], object]


def arch_of(name: str) -> ArchSpec:
    """A published network, or one that a search at 4.5M MACs could deliver."""
    if name in ZOO:
        return ZOO[name].arch
    table = GateTable(get_space(name, 32, 10))
    scores = log_scores(table.option_probabilities(np.full(len(table.gates), 0.5)))
    return table.arch(project(table, scores, _LEAST_MACS, _MOST_MACS).choice)


def measure(name: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """What a pass of every form costs, at every batch size."""
    network = build_network(arch_of(name), seed=0).eval()
    resolution, rows = network.arch.resolution, []
    with tempfile.TemporaryDirectory() as folder:
        forms = _forms(network, Path(folder) / "model.onnx", threads)
        for batch, factor in BATCHES:
            x = torch.randn(batch, 3, resolution, resolution)
            with torch.inference_mode():
                costs = median_costs({form: partial(run, x) for form, run in forms.items()}, factor * rounds)
            rows.append({"batch": batch, "threads": threads, **costs})
    return rows


def _forms(network: Network, file: Path, threads: int) -> dict[str, Form]:
    plain = model.Network(network.arch.to_json())
    plain.load_state_dict(network.state_dict())
    graph = prepare_graph(network.arch.to_json(), ["onnx"])
    graph.fill(model.fuse(plain.eval()).state_dict())
    save_onnx(file, graph, {})
    fused = network.fuse()

    def with_operators(x: Tensor) -> object:
        with mock.patch.object(inference, "_kernels", _none):
            return fused(x)

    return {"operators": with_operators, "fused": fused, "onnx": open_onnx(file, threads)}


def _none() -> None:
    """No kernels."""


def measure_alone(name: str, threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run `measure` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.inference", "--only", name, "--rounds", str(options.rounds)]
    command += ["--threads", str(threads), *(["--keep-memory"] if options.keep_memory else [])]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return list(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    options = arguments(__doc__, rounds=5, only=NETWORKS)
    if options.only:
        say(json.dumps(measure(options.only, options.threads, options.rounds)))
        return 0
    say(f"inference, {describe()}")
    networks = {name: [row for n in THREADS for row in measure_alone(name, n, options)] for name in NETWORKS}
    say(json.dumps(networks, indent=2))
    write_result("inference", options, {"networks": networks})
    return 0


if __name__ == "__main__":
    sys.exit(main())
