"""Arms of the quick and full tier: networks within the budget, and the same compute for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from autonl_core.datasets.scan import find_dataset
from autonl_core.phases.preparing import open_run
from autonl_core.run.host_options import HostOptions
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import encode
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.progress import Silent
from autonl_core.spec.zoo import ZOO
from benchmarks.search_quality.arms import ARMS, OURS, epochs_for, halving_work, searching_work
from tests.benchmarks.search_quality.pictures import split_zip

BUDGET_MACS = 4_500_000
CHANCE = "autonl_core.phases.scoring.chance_of"
SETTINGS = {
    "supernet": {"epochs": 1, "batch_size": 8, "candidates": 2, "generations": 1, "finalists": 2},
    "train": {"epochs": 20, "batch_size": 8},
}


@contextmanager
def opened(folder: Path, seed: int = 0) -> Iterator[SearchRun]:
    dataset, sink = find_dataset(str(split_zip(folder / "photos.zip"))), Silent()
    config = SearchConfig.model_validate({"dataset": "photos", "flops_budget": BUDGET_MACS, "seed": seed, **SETTINGS})
    host = HostOptions(cache_dir=folder / "cache")
    run = open_run(
        config, dataset, folder, sink=sink, stop=sink, resume_from=[], host=host, cache_dir=folder / "cache",
        dataset_report=None,
    )  # fmt: skip
    with run.ending_its_processes():
        yield run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchRun]:
    with opened(tmp_path_factory.mktemp("run")) as run:
        yield run


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in ARMS if name != OURS])
@pytest.mark.long
def test_every_rival_is_within_the_budget_and_spends_what_the_search_does(run: SearchRun, name: str) -> None:
    entry = ARMS[name](run)
    macs = count_macs(entry.arch).total
    tolerance = 0.03 if name in ZOO else 0.0  # published networks come as close as their widths allow
    assert 0.97 * BUDGET_MACS <= macs <= (1 + tolerance) * BUDGET_MACS
    per_epoch = len(run.data.train) * 3 * macs
    spent = entry.work + epochs_for(run, entry, macs) * per_epoch
    assert spent == pytest.approx(run.plan.search, abs=per_epoch / 2)


@pytest.mark.long
def test_the_search_spends_what_it_plans(run: SearchRun) -> None:
    with mock.patch(CHANCE, return_value=0.01):  # a final is held
        entry = ARMS[OURS](run)
    assert 0.97 * BUDGET_MACS <= count_macs(entry.arch).total <= BUDGET_MACS
    assert entry.work == searching_work(run) > 0
    assert epochs_for(run, entry, BUDGET_MACS) == 20
    assert entry.work + 20 * len(run.data.train) * 3 * BUDGET_MACS == run.plan.search


def test_halving_trains_and_scores_everyone_in_every_round(run: SearchRun) -> None:
    """Of 4 networks 4 train, then 2: six turns of one pass over 36 images, and 4 images to score."""
    assert (len(run.fit), len(run.val)) == (36, 4)
    assert halving_work(run, 4) == 6 * (36 * 3 + 4) * BUDGET_MACS
    assert halving_work(run, 1) == 0


def test_widest_has_the_most_parameters(run: SearchRun) -> None:
    widest = count_params(ARMS["widest"](run).arch)
    assert all(count_params(ARMS[name](run).arch) <= widest for name in ("random", "uniform"))


def test_random_networks_follow_from_the_seed(tmp_path: Path) -> None:
    def drawn(seed: int) -> ArchSpec:
        with opened(tmp_path, seed) as run:
            return ARMS["random"](run).arch

    assert drawn(0) == drawn(0)
    assert len({encode(drawn(seed)) for seed in range(4)}) > 1


def test_without_a_final_the_search_trains_as_much_longer_as_in_the_product(run: SearchRun) -> None:
    """The final, two passes over 36 of 40 images and their scores, is less than two passes over all."""
    with mock.patch(CHANCE, return_value=0.5):
        entry = ARMS[OURS](run)
    assert epochs_for(run, entry, BUDGET_MACS) == 21
    assert entry.work == searching_work(run) - len(run.data.train) * 3 * BUDGET_MACS
