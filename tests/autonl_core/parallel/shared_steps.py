"""Training steps that ranks share: `python -m tests.autonl_core.parallel.shared_steps FOLDER` writes what each has.

Launched as ranks, or alone; `measure` is what every one of them does. Without a FOLDER, memory runs out on the last one
while the others wait for it in a batch norm.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from autonl_core.data.batches import Loader
from autonl_core.errors import RanksError
from autonl_core.nn.network import build_network
from autonl_core.parallel.ranks import Ranks, join
from autonl_core.parallel.stopping import agreed_stop
from autonl_core.run.run_state import on_cpu
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import BatchStatistics, TrainConfig
from autonl_core.spec.progress import Silent, StopRequest
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.learner import ALGORITHMS
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.evaluate import Marks, evaluate
from autonl_core.training.micro_batches import MicroBatches, split
from autonl_core.training.optim import make_optimizer
from autonl_core.training.parts import BatchParts, Part, parts_of
from autonl_core.training.trainer import Trainer
from tests.autonl_core.second_device_steps import MOVING, images
from worker.exit_codes import ExitCode, exit_with

PARTS = 4
LATE = 0.9  # of a search: gates matter


def digest(value: Any) -> str:
    """A hash of a state, every bit of it."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            found.update(value.detach().contiguous().numpy().tobytes())
        elif isinstance(value, dict):
            for key in value:
                found.update(repr(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for each in value:
                add(each)
        else:
            found.update(repr(value).encode())

    add(on_cpu(value))
    return found.hexdigest()[:16]


def parts_for(ranks: Ranks, statistics: BatchStatistics = "part") -> BatchParts:
    config = SearchConfig(dataset="digits", flops_budget=400_000, batch_parts=PARTS, batch_statistics=statistics)
    return parts_of(config, ranks, MicroBatches(ranks=ranks))


def trained(ranks: Ranks, statistics: BatchStatistics = "part") -> Trainer:
    """A small network after an epoch, with dropout; its trainer."""
    data = images()
    network = build_network(get_space("tiny", 8, 2).smallest(), seed=1, dropout=0.2)
    recipe = TrainConfig(epochs=1, batch_size=32, warmup_epochs=0, ema_decay=0.9, lr=0.05, dropout=0.2)
    loader = Loader(data, torch.device("cpu"), 0, MOVING)
    trainer = Trainer(network, data.train, loader, recipe, "train", 1, parts_for(ranks, statistics))
    for _ in trainer.run_epoch():
        pass
    return trainer


def trained_by_whole_batches(ranks: Ranks) -> dict[str, Any]:
    """What has to be nearly the same for any number of ranks: batch norms saw whole batches.

    A small network after four epochs, weights and statistics; and supernets and gates of all algorithms.
    """
    data = images()
    network = build_network(get_space("tiny", 8, 2).smallest(), seed=1, dropout=0.0)
    recipe = TrainConfig(epochs=4, batch_size=32, warmup_epochs=1, ema_decay=0.9, lr=0.05)
    loader = Loader(data, torch.device("cpu"), 0, MOVING)
    trainer = Trainer(network, data.train, loader, recipe, "train", 4, parts_for(ranks, "batch"))
    while not trainer.finished:
        for _ in trainer.run_epoch():
            pass
    tensors = dict(network.state_dict())
    for name in ALGORITHMS.names():
        found = learned(name, parts_for(ranks, "batch"))
        tensors |= {f"{name}/{key}": value for key, value in found["supernet"].items()}
        tensors[f"{name}/p"] = torch.tensor(found["p"])
    return {name: value.tolist() for name, value in tensors.items()}


def learned(algorithm: str, parts: BatchParts) -> dict[str, Any]:
    """A supernet, and what an algorithm learned of its gates, after a few steps."""
    config = SearchConfig(dataset="digits", flops_budget=400_000, algorithm=algorithm)
    supernet = Supernet(GateTable(get_space("tiny", 8, 10)), seed=0)
    learner = ALGORITHMS.get(algorithm).make_learner(supernet, config)
    optimizer = make_optimizer(supernet, "sgd", lr=0.05, momentum=0.9, weight_decay=1e-4)
    if extra := learner.extra_parameters():
        optimizer.add_param_group({"params": extra, "weight_decay": 0.0})
    trained_too = [*supernet.parameters(), *extra]
    parts = replace(parts, parameters=trained_too)
    generator = torch.Generator().manual_seed(0)
    for step in range(3):
        x = torch.randn(16, 3, 8, 8, generator=generator).contiguous(memory_format=torch.channels_last)
        y = torch.randint(0, 10, (16,), generator=generator)
        learner.weight_step(x, y, np.random.default_rng(step), LATE, parts)
        optimizer.step()
        if learner.slope_interval:
            learner.slope_step(x, y, np.random.default_rng(100 + step), LATE, parts)
    return {"supernet": supernet.state_dict(), "learner": learner.state_dict(), "p": learner.probabilities().tolist()}


def measure(ranks: Ranks) -> dict[str, Any]:
    """What has to be the same for any number of ranks."""
    trainer = trained(ranks)
    marks = Marks()
    batches = trainer.loader.plain(trainer.images, batch_size=25)  # the last group of them is not full
    score = evaluate(trainer.averaged(), batches, marks, ranks)
    return {
        "weights and statistics": digest(trainer.network.state_dict()),
        "average": digest(trainer.average.state_dict()),
        "optimizer": digest(trainer.optimizer.state_dict()),
        "loss": trainer.take_epoch_metrics()["loss"],
        "score": [score.correct, score.images, score.loss],
        "answers": digest(marks.predicted()),
        **{
            name: {key: digest(value) for key, value in learned(name, parts_for(ranks)).items()}
            for name in ALGORITHMS.names()
        },
    }


@contextmanager
def short_of_memory(here: bool) -> Iterator[None]:
    """Whole parts of a batch need more memory than there is `here`."""

    def split_or_run_out(x: Tensor, labels: Tensor, parts: int) -> list[tuple[Tensor, Tensor, float]]:
        if here and parts < 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return split(x, labels, parts)

    with mock.patch("autonl_core.training.trainer.split", split_or_run_out):
        yield


@contextmanager
def losing(here: bool) -> Iterator[None]:
    """Images are not numbers `here`."""
    accumulate = Trainer._accumulate

    def lose(trainer: Trainer, part: Part, micro_batches: int, step: int) -> Tensor:
        x = part.x * float("nan") if here and step == 2 else part.x
        return accumulate(trainer, Part(x, part.labels, part.share, part.number), micro_batches, step)

    with mock.patch.object(Trainer, "_accumulate", lose):
        yield


class Asked(Silent):
    """A stop is requested `here`."""

    def __init__(self, here: bool) -> None:
        self.here = here

    def stop_requested(self) -> StopRequest | None:
        return "pause" if self.here else None


def agree(ranks: Ranks) -> dict[str, Any]:
    """What ranks agree on if it happens to the last one alone, and how long that takes."""
    began, here = time.monotonic(), ranks.rank == ranks.size - 1
    with short_of_memory(here):
        short = trained(ranks)
    with losing(here):
        lost = trained(ranks)
    stop = agreed_stop(Asked(here), ranks)
    try:
        ranks.require_same("run states", ranks.rank)
        differ = None
    except RanksError as error:
        differ = str(error)
    return {
        "micro-batches": short.parts.micro_batches.parts,
        "short": digest(short.network.state_dict()),
        "averaged steps": lost.average.state_dict()["steps"],
        "steps": lost.steps,
        "lost": digest(lost.network.state_dict()),
        "stop": stop,
        "differ": differ,
        "seconds": time.monotonic() - began,
    }


def run_out(ranks: Ranks) -> None:
    """Memory runs out on the last rank, in a step whose batch norms see the whole batch."""
    with short_of_memory(ranks.rank == ranks.size - 1):
        trained(ranks, "batch")


def main(folder: Path | None = None) -> ExitCode:
    torch.set_num_threads(1)
    ranks = join("cpu")
    if folder is None:
        run_out(ranks)
        return ExitCode.FINISHED
    found = {"measured": measure(ranks), "agreed": agree(ranks), "by whole batches": trained_by_whole_batches(ranks)}
    (folder / f"rank-{ranks.rank}.json").write_text(json.dumps(found))
    return ExitCode.FINISHED


if __name__ == "__main__":
    exit_with(lambda: main(*map(Path, sys.argv[1:])))
