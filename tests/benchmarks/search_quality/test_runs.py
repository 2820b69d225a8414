"""One line per trained network: made once, also if a process is killed, and only compared with its like."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.recipe import settle
from benchmarks.search_quality.arms import ARMS
from benchmarks.search_quality.runs import TIERS, Cell, Result, Tier, append, config_of, make, planned, read
from tests.benchmarks.search_quality.pictures import TRAIN, split_zip

SHORT = Tier("short", ("4.5M",), (0,), {"train": {"epochs": 1, "batch_size": 8}}, reads_test=True)
QUICK = TIERS["quick"]


@pytest.mark.parametrize("tier", TIERS.values(), ids=TIERS)
def test_the_recipe_of_a_tier_is_what_its_searches_do(tier: Tier) -> None:
    images = replace(DIGITS, image_size=32, train_images=10_000)
    settled = settle(config_of(tier, Cell("cifar", "4.5M", 0)), images, {})
    found = {"supernet": settled.supernet.to_json(), "train": settled.train.to_json()}
    assert json.loads(tier.recipe) == found


@pytest.mark.long
@pytest.mark.long
def test_a_line_says_what_was_trained_and_which_images_it_got_right(tmp_path: Path) -> None:
    path, file = split_zip(tmp_path / "photos.zip"), tmp_path / "lines.jsonl"
    make(SHORT, [path], ["uniform"], [0], tmp_path / "out", file)
    (result,) = read(file, SHORT)
    assert (result.cell, result.arm, result.images) == (Cell("photos", "4.5M", 0), "uniform", 10)
    right = np.unpackbits(np.frombuffer(bytes.fromhex(result.right), dtype=np.uint8))[: result.images]
    assert right.sum() == result.correct
    assert result.epochs > 1  # the compute of the search that it did without
    line = file.read_text()
    make(SHORT, [path], ["uniform"], [0], tmp_path / "out", file)
    assert file.read_text() == line


@pytest.mark.long
@pytest.mark.long
def test_the_quick_tier_judges_training_images_alone(tmp_path: Path) -> None:
    path, file = split_zip(tmp_path / "photos.zip"), tmp_path / "lines.jsonl"
    held_out = replace(SHORT, reads_test=False)
    make(held_out, [path], ["uniform"], [0], tmp_path / "out", file)
    assert read(file, held_out)[0].images == 2 * TRAIN // 5
    assert not QUICK.reads_test
    assert TIERS["full"].reads_test


@pytest.mark.parametrize("tier", TIERS.values(), ids=list(TIERS))
def test_a_search_has_the_settings_of_its_tier(tier: Tier) -> None:
    config = config_of(tier, Cell("photos", "9M", 2))
    assert (config.flops_budget, config.seed, config.init, config.resolution) == (9_000_000, 2, "none", 32)
    assert config.train.epochs == (30 if tier is QUICK else 70)


def test_first_verdicts_come_early() -> None:
    runs = list(planned(["one", "two"], QUICK, ["autonl", "random"], [0, 1]))
    assert [cell.seed for cell, _ in runs] == [0] * 4 + [1] * 4
    assert len(set(runs)) == 8


def written(seed: int) -> Result:
    cell = Cell("photos", "4.5M", seed)
    return Result(cell, "uniform", "in32", 4_500_000, 90_000, 30, 0.0, 5, 10, "ff", 1.0, QUICK.recipe, {})


def test_a_torn_line_is_made_again_and_harms_no_other(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    append(file, written(0))
    with file.open("a") as handle:
        handle.write(json.dumps(asdict(written(1)))[:40])
    assert [result.cell.seed for result in read(file, QUICK)] == [0]
    append(file, written(2))
    assert [result.cell.seed for result in read(file, QUICK)] == [0, 2]


def test_runs_with_another_recipe_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    append(file, written(0))
    append(file, replace(written(1), recipe=TIERS["full"].recipe))
    assert [result.cell.seed for result in read(file, QUICK)] == [0]


@pytest.mark.long
def test_a_killed_process_leaves_all_but_the_run_it_was_at(tmp_path: Path) -> None:
    path, file = split_zip(tmp_path / "photos.zip"), tmp_path / "lines.jsonl"
    arms = ["uniform", "widest"]
    assert set(arms) <= set(ARMS)
    command = [sys.executable, "-m", "benchmarks.search_quality", "quick", "--dataset", str(path)]
    command += ["--out", str(tmp_path / "out"), "--results", str(file), "--seeds", "0", "--arms", *arms]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 240
        while len(read(file, QUICK)) < 1:
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline, "no run has ended"
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    first = read(file, QUICK)
    assert len(first) < len(arms)
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert "| uniform |" in done.stdout
    results = read(file, QUICK)
    assert results[: len(first)] == first
    assert [result.arm for result in results] == arms
