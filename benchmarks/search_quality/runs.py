"""Trains and scores one network for every arm, dataset, budget and seed; one JSON line each.

A line is written when its network is scored: a run that is killed is the only one that is made again.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from autonl_core.datasets.scan import find_dataset
from autonl_core.errors import Diverged
from autonl_core.nn.network import build_network, to_channels_last
from autonl_core.phases.preparing import open_run
from autonl_core.run.host_options import HostOptions
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import encode
from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.progress import Silent
from autonl_core.spec.recipe import from_nothing, settle
from autonl_core.training.evaluate import Marks, evaluate
from autonl_core.training.trainer import Trainer
from benchmarks.machine import describe
from benchmarks.search_quality.arms import ARMS, epochs_for
from benchmarks.search_quality.held_out import without_test


@dataclass(frozen=True)
class Tier:
    """How long everything trains, at which budgets, and whether test splits are read."""

    name: str
    budgets: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]  # of all searches, beyond the defaults
    reads_test: bool

    @property
    def recipe(self) -> str:
        """All settings of its searches but dataset, budget and seed: runs with different ones are not compared."""
        fields = {"dataset": "any", "flops_budget": 1, "init": NO_INIT, "resolution": _RESOLUTION, **self.settings}
        config = SearchConfig.model_validate(fields)
        found = {"supernet": from_nothing(config).to_json(), "train": config.train.to_json()}
        return json.dumps(found, sort_keys=True)


# A search of `quick` is two fifths of a long one, in its searching as in its training. Rates are written down: what a
# search chooses for a dataset is not part of `recipe`.
_TWO_FIFTHS = {"train": {"epochs": 30, "lr": 0.1}, "supernet": {"epochs": 1, "candidates": 12, "finalists": 2}}
_THOROUGH = {"train": {"lr": 0.1}, "supernet": {"epochs": 2, "candidates": 32, "generations": 2, "finalists": 3}}
_BUDGETS = ("2.5M", "4.5M", "9M")
TIERS = {
    tier.name: tier
    for tier in (
        Tier("quick", ("4.5M",), (0, 1, 2), _TWO_FIFTHS, reads_test=False),
        Tier("full", _BUDGETS, (0, 1, 2, 3, 4), {"train": {"lr": 0.2}}, reads_test=True),
        Tier("thorough", _BUDGETS, (0, 1, 2, 3, 4), _THOROUGH, reads_test=True),
    )
}
_RESOLUTION = 32


@dataclass(frozen=True)
class Cell:
    """What arms are compared in: the same images, order and initialisation seed."""

    dataset: str
    budget: str
    seed: int


@dataclass(frozen=True)
class Result:
    """One trained network. `problem`: why it has no score; `right`: the test images it got right, as bits in hex."""

    cell: Cell
    arm: str
    arch_string: str
    macs: int
    params: int
    epochs: int
    searching_work: float  # image-MACs before it trained
    correct: int
    images: int
    right: str
    cpu_s: float
    recipe: str  # of the tier
    machine: dict[str, str | int]
    problem: str = ""

    @property
    def top1_pct(self) -> float:
        return 100 * self.correct / self.images


def planned(
    datasets: Sequence[str], tier: Tier, arms: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[Cell, str]]:
    """All runs, seed by seed, so that a first verdict on every rival comes early."""
    for seed in seeds:
        for dataset in datasets:
            for budget in tier.budgets:
                for arm in arms:
                    yield Cell(dataset, budget, seed), arm


def make(
    tier: Tier,
    paths: Sequence[Path],
    arms: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    file: Path,
    device: str = "cpu",
) -> None:
    """Make the runs that `file` has no line for yet, on `device`. Others may append to it meanwhile."""
    by_name = {path.stem: path for path in paths}
    for cell, arm in planned(list(by_name), tier, arms, seeds):
        config = config_of(tier, cell)
        if any((one.cell, one.arm) == (cell, arm) for one in read(file, tier)):
            continue
        result = measure(cell, arm, config, judged(by_name[cell.dataset], tier, out), out / "cache", tier, device)
        append(file, result)
        print(f"{cell.dataset} {cell.budget} seed {cell.seed} {arm}: {result.top1_pct:.1f}%", flush=True)


def config_of(tier: Tier, cell: Cell) -> SearchConfig:
    """The settings of every arm in a cell."""
    fields = {"dataset": cell.dataset, "flops_budget": cell.budget, "seed": cell.seed, "init": NO_INIT}
    return SearchConfig.model_validate({**fields, "resolution": _RESOLUTION, **tier.settings})


def judged(path: Path, tier: Tier, out: Path) -> Path:
    """The dataset as the tier uses it."""
    out.mkdir(parents=True, exist_ok=True)
    return path if tier.reads_test else without_test(path, out)


def measure(
    cell: Cell, arm: str, config: SearchConfig, path: Path, cache_dir: Path, tier: Tier, device: str = "cpu"
) -> Result:
    """Find the network of one arm, train it for the rest of the compute, and score it once."""
    dataset, sink = find_dataset(str(path)), Silent()
    started_s = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        run = open_run(
            settle(config, dataset, {}),
            dataset,
            Path(scratch),
            sink=sink,
            stop=sink,
            resume_from=[],
            host=HostOptions(device=device, cache_dir=cache_dir),
            cache_dir=cache_dir,
            dataset_report=None,
        )
        with run.ending_its_processes():
            entry = ARMS[arm](run)
            macs = count_macs(entry.arch).total
            epochs = epochs_for(run, entry, macs)
            right, problem = _train(run, entry.arch, epochs)
    return Result(
        cell=cell,
        arm=arm,
        arch_string=encode(entry.arch),
        macs=macs,
        params=count_params(entry.arch),
        epochs=epochs,
        searching_work=entry.work,
        correct=0 if right is None else int(right.sum()),
        images=len(run.data.test),
        right="" if right is None else np.packbits(right.numpy()).tobytes().hex(),
        cpu_s=round(time.process_time() - started_s, 1),
        recipe=tier.recipe,
        machine=describe(device),
        problem=problem,
    )


def _train(run: SearchRun, arch: ArchSpec, epochs: int) -> tuple[Tensor | None, str]:
    """Which test images the network gets right after so many epochs, (N,) bool; or why it has no score."""
    network = to_channels_last(build_network(arch, seed=run.config.seed, dropout=run.config.train.dropout))
    network = network.to(run.device)
    trainer = Trainer(network, run.data.train, run.loader, run.config.train, "train", epochs, run.parts)
    try:
        while not trainer.finished:
            for _ in trainer.run_epoch():
                pass
            trainer.take_epoch_metrics()
    except Diverged as error:
        return None, str(error)
    evaluate(trainer.averaged(), run.loader.plain(run.data.test), marks := Marks())
    return marks.right(), ""


def append(file: Path, result: Result) -> None:
    """Add a line in one write, so that several processes can share the file; after a torn line, on a new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torn = file.exists() and file.stat().st_size > 0 and not file.read_bytes().endswith(b"\n")
    line = ("\n" if torn else "") + json.dumps(asdict(result)) + "\n"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read(file: Path, tier: Tier) -> list[Result]:
    """The results that were made with the recipe of `tier`. A torn line, of a process that was killed, counts not."""
    results = []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            continue
        if found["recipe"] == tier.recipe:
            results.append(Result(**{**found, "cell": Cell(**found["cell"])}))
    return results
