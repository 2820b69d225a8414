"""What starting from pretrained weights is worth: whole searches over budgets, starts and seeds; resumable.

    python -m benchmarks.transfer --dataset photos.zip --out runs --budgets 40M 20M --seeds 0 1 2
    python -m benchmarks.transfer --dataset photos.zip --out runs --baselines off-the-shelf uniform
    python -m benchmarks.transfer --out runs --table

With baselines, the table has how far ahead of each rival the results are, paired by run, with a 95% interval over runs.
Every search runs in a process of its own, in a folder of its own below `--out`; interrupted, it goes on from its last
run state when the same command is given again. One JSON line per finished search in `runs/results.jsonl`. Seconds by
phase are of all attempts, CPU seconds of the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev

import yaml
from scipy import stats

from benchmarks.harness import say
from benchmarks.machine import describe

RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Arm:
    """What is compared: searches that differ in their seed alone."""

    dataset: str
    budget: str
    init: str


@dataclass(frozen=True)
class Result:
    """One finished search, as it is written to the file of results."""

    arm: Arm
    seed: int
    correct: int
    images: int
    macs: int
    resolution: int
    seconds_by_phase: dict[str, float]
    cpu_s: float
    machine: dict[str, str | int]
    rivals: dict[str, int] = field(default_factory=dict)  # correct test images of each baseline that was trained

    @property
    def top1_pct(self) -> float:
        return 100 * self.correct / self.images


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, action="append", default=[], help="folder or zip; repeatable")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budgets", nargs="+", default=["40M"])
    parser.add_argument("--inits", nargs="+", default=["auto"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--baselines", nargs="+", default=[], help="what to compare with, within each search")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--table", action="store_true", help="only print what is in the file of results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    asked = set(options.baselines)
    done = {(result.arm, result.seed) for result in read(options.out / RESULTS) if asked <= result.rivals.keys()}
    if not options.table:
        for path, arm, seed in planned(options.dataset, options.budgets, options.inits, options.seeds):
            if (arm, seed) not in done:
                search(path, arm, seed, options.out, options.threads, options.baselines)
    results = read(options.out / RESULTS)
    print_table(results)
    for name in sorted({name for result in results for name in result.rivals}):
        say(f"\nahead of {name}: {ahead_of(name, results)}")
    return 0


def planned(
    datasets: list[Path], budgets: list[str], inits: list[str], seeds: list[int]
) -> Iterator[tuple[Path, Arm, int]]:
    """All searches, seed by seed, so that a first answer for every arm comes early."""
    for seed in seeds:
        for path in datasets:
            for budget in budgets:
                for init in inits:
                    yield path, Arm(path.stem, budget, init), seed


def search(path: Path, arm: Arm, seed: int, out: Path, threads: int, baselines: list[str]) -> None:
    """Make one search and append its result. Raises CalledProcessError if it fails; what it saved is kept."""
    folder = out / f"{arm.dataset}-{arm.budget}-{arm.init}-{seed}"
    folder.mkdir(exist_ok=True)
    config = {
        "dataset": arm.dataset,
        "flops_budget": arm.budget,
        "init": arm.init,
        "seed": seed,
        "baselines": baselines,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "autonl_core", "search", "--config", str(folder / "config.yaml")]
    command += ["--out", str(folder), "--dataset-path", str(path), "--cache-dir", str(out / "cache")]
    cpu_before_s = _children_cpu_s()
    with (folder / "log.txt").open("a") as log:
        subprocess.run([*command, "--threads", str(threads)], stdout=log, stderr=log, check=True)
    found = json.loads((folder / "result.json").read_text())
    result = Result(
        arm=arm,
        seed=seed,
        correct=found["test_correct"],
        images=found["test_images"],
        macs=found["architecture"]["macs"],
        resolution=found["architecture"]["arch"]["resolution"],
        seconds_by_phase=found["seconds_by_phase"],
        cpu_s=round(_children_cpu_s() - cpu_before_s, 1),
        machine=describe(),
        rivals={b["name"]: b["test_correct"] for b in found["baselines"] if b["test_correct"] is not None},
    )
    with (out / RESULTS).open("a") as results:
        results.write(json.dumps(asdict(result)) + "\n")
    say(f"{folder.name}: {result.top1_pct:.2f}% at {result.macs:,} MACs, {result.cpu_s:.0f} CPU s")


def read(path: Path) -> list[Result]:
    """The results so far; of a search that was made again, with other baselines, the last one."""
    found: dict[tuple[Arm, int], Result] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        saved = json.loads(line)
        result = Result(**{**saved, "arm": Arm(**saved["arm"])})
        found[result.arm, result.seed] = result
    return list(found.values())


def print_table(results: list[Result]) -> None:
    """One line per arm: mean and standard deviation over seeds."""
    arms: dict[Arm, list[Result]] = defaultdict(list)
    for result in results:
        arms[result.arm].append(result)
    say("| dataset | budget | start | seeds | test top-1 | MACs | pixels | s | CPU s |")
    say("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for arm, runs in arms.items():
        accuracies = [run.top1_pct for run in runs]
        spread = f" (+-{stdev(accuracies):.1f})" if len(runs) > 1 else ""
        macs = ", ".join(f"{run.macs / 1e6:.1f}M" for run in runs)
        pixels = ", ".join(str(run.resolution) for run in runs)
        seconds = mean(sum(run.seconds_by_phase.values()) for run in runs)
        cells = (arm.dataset, arm.budget, arm.init, len(runs), f"{mean(accuracies):.1f}{spread}", macs, pixels)
        say(f"| {' | '.join(map(str, cells))} | {seconds:.0f} | {mean(run.cpu_s for run in runs):.0f} |")


def ahead_of(name: str, results: list[Result]) -> str:
    """How many points the results are ahead of a baseline, in words: the mean over runs, and Student's 95% interval."""
    compared = [result for result in results if name in result.rivals]
    points = [100 * (run.correct - run.rivals[name]) / run.images for run in compared]
    if len(points) < 2:
        return f"{mean(points):+.1f} points in one run"
    half = float(stats.t.ppf(0.975, len(points) - 1)) * stdev(points) / len(points) ** 0.5
    low, high = mean(points) - half, mean(points) + half
    return f"{mean(points):+.1f} points in {len(points)} runs, 95% interval {low:+.1f} to {high:+.1f}"


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
