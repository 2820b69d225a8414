"""Does searching pay off? Trains the searched network and others of equal MACs with one recipe; prints their top-1.

    python -m benchmarks.equal_macs --dataset photos.zip --result run/result.json --epochs 16

`uniform` uses one block type throughout, `widest` has the most parameters the budget allows, and `random` networks are
drawn uniformly from those in the space within the budget. Every network is initialised from scratch with the same seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import prepare
from autonl_core.datasets.scan import find_dataset
from autonl_core.nn.network import build_network
from autonl_core.phases.candidates import propose
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import decode, encode
from autonl_core.spec.config_sections import SupernetConfig, TrainConfig
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.gates import GateTable
from autonl_core.training.evaluate import evaluate
from autonl_core.training.trainer import Trainer
from benchmarks.harness import say
from benchmarks.machine import describe


def rivals(searched: ArchSpec, space_name: str | None, budget_macs: int, count: int) -> list[tuple[str, ArchSpec]]:
    """The searched network and the networks to compare it with, each with its name."""
    table = GateTable(get_space(space_name, searched.resolution, searched.num_classes))
    uniform_probabilities = np.full(len(table.gates), 0.5)
    proposed = propose(table, uniform_probabilities, budget_macs, SupernetConfig(), np.random.default_rng(0))
    networks = [("searched", searched)]
    networks += [(origin, table.arch(choice)) for choice, origin in proposed if origin in ("uniform", "widest")]
    networks += [(origin, table.arch(choice)) for choice, origin in proposed if origin == "random"][:count]
    return networks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="built-in dataset, folder or zip archive")
    parser.add_argument("--result", type=Path, required=True, help="result of a search: result.json, or from the API")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--random", type=int, default=3, choices=range(9), help="number of random networks")
    parser.add_argument("--cache-dir", type=Path, default=Path(tempfile.gettempdir()) / "autonl-bench-cache")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = json.loads(options.result.read_text())
    searched = decode(result["architecture"]["arch_string"])
    dataset = find_dataset(options.dataset)
    data = prepare(dataset, searched.resolution, options.cache_dir)
    padding = round(0.125 * searched.resolution)
    loader = Loader(data, torch.device("cpu"), 0, Augmentation(dataset.horizontal_flip, padding))
    config = TrainConfig(epochs=options.epochs, ema_decay=0.998)
    say(f"{dataset.name}, {options.epochs} epochs each, {describe()}")
    for origin, arch in rivals(searched, None, result["flops_budget"], options.random):
        started = time.process_time()
        trainer = Trainer(build_network(arch, seed=0), data.train, loader, config, "train", options.epochs)
        while not trainer.finished:
            for _ in trainer.run_epoch():
                pass
        top1_pct = evaluate(trainer.averaged(), loader.plain(data.test)).top1_pct
        size = f"{count_macs(arch).total:>11,} MACs {count_params(arch):>9,} params"
        cpu_s = time.process_time() - started
        say(f"{origin:<9} top-1 {top1_pct:5.2f}%  {size}  {cpu_s:5.0f} CPU s  {encode(arch)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
