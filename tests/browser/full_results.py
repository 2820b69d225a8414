"""Results in which everything is there that the page can show, and the files of searches that have them."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import itertools
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from autonl_core.datasets.spec import DIGITS
from autonl_core.report import render
from autonl_core.spec.architecture_history import ReportedNetwork
from autonl_core.spec.doubtful_labels import DoubtfulLabel, DoubtfulLabels
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.feasibility import resolve_space
from autonl_core.spec.measured_network import MeasuredNetwork
from autonl_core.spec.not_sure import NotSure
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.progress import ArchitectureRecord, Progress
from autonl_core.spec.result import (
    BaselineResult,
    Certificate,
    ClassResult,
    FormatParity,
    LatencyCheck,
    ResultFile,
    SearchResult,
)
from store.artifacts import StoredFile
from store.leases import Lease
from store.stores import Stores
from tests.autonl_core.report.example_facts import facts
from tests.store import sample_rows as samples
from tests.store.sample_epochs import gates_at, network, options_of, place_of, report, same_but_for

EPOCHS = 6  # of the supernet
DOUBTFUL = 30  # images: more than are shown at once
NOTE = "The search space is coarse at this budget: 1.0% of it is left."
_SHA256 = "ab" * 32
_NAMES = {
    "bundle": "bundle.zip",
    "safetensors": "model.safetensors",
    "onnx": "model.onnx",
    "report-html": "report.html",
    "report-md": "report.md",
    "doubtful-labels": "doubtful-labels.json",
}


@functools.cache
def report_html() -> bytes:
    """A report as searches write it."""
    return render(facts(budget_macs=40_000_000)).html.encode()


def full_result(test_top1_pct: float = 95.82, *, seed: int = 0) -> SearchResult:
    """A result on the digits with baselines, rivals, classes, measured networks, parity and a note."""
    plain = samples.result()
    found = within_budget(seed, val_top1_pct=96.1, test_top1_pct=test_top1_pct, test_top5_pct=99.7, trained=True)
    correct = round(test_top1_pct * plain.test_images / 100)
    return replace(
        plain,
        architecture=found,
        test_correct=correct,
        seconds_by_phase={"preparing": 2.0, "searching": 95.5, "training": 240.0, "exporting": 12.5},
        comparison={"chosen": "by_scores"},
        notes=(NOTE,),
        parity={
            "safetensors": FormatParity(correct, test_top1_pct, 0.0, 0, 64_000, _SHA256),
            "onnx": FormatParity(correct, test_top1_pct, 1e-5, 0, 66_000, _SHA256),
            "onnx-int8": FormatParity(300, 83.6, 2.0, 52, 21_000, _SHA256, withheld="it loses 12.3 points"),
        },
        certificate=Certificate("model.onnx", "multiply-adds", 8, 400_000, 396_000, 4_000, 1.0, {"Conv": 396_000}),
        latency_ms={"eager": {"1": 1.5}},
        baselines=(
            BaselineResult("off-the-shelf", "in8", 398_000, 71_000, 330, 91.92, None, 8, 20, 1.01),
            BaselineResult("uniform", "in8", 399_000, 70_000, 335, 93.31, None, 8, 20, 0.99),
            BaselineResult("mobilenet_v2", "in8", 395_000, 60_000, None, None, "it ran out of memory"),
        ),
        layer_times_ms=_layer_times_ms(found),
        networks=_measured(),
        not_sure=NotSure(below=0.45, test_images=25, test_correct=11),
        calibration=ProbabilityCalibration(0.72, 359, 0.083, 0.032),
        latency_check=LatencyCheck("a phone, 1 thread", _SHA256, 0.3, 0.2871, None, "it was exported elsewhere"),
        classes=tuple(
            ClassResult(str(digit), 143 + digit % 3, 36, 36 - digit // 3, 36 - digit // 4) for digit in range(10)
        ),
    )


def within_budget(seed: int, **measured: Any) -> ArchitectureRecord:
    """An architecture that fits the budget of the samples."""
    return samples.architecture(_fitting_seed(seed), **measured)


def _fitting_seed(first: int) -> int:
    """The seed of a sample that fits the budget."""
    seeds = itertools.count(100 * first)
    return next(seed for seed in seeds if samples.architecture(seed).macs <= samples.CONFIG.flops_budget)


def _after(epoch: int) -> ReportedNetwork:
    """Every second epoch, another option stands at one position; gates move in all of them."""
    options = options_of(_fitting_seed(0))
    for position in range(2, epoch // 2 + 2):
        options = same_but_for(options, position)
    gates = {name: 0.5 + (value - 0.5) * epoch / EPOCHS for name, value in gates_at(0).items()}
    values = {"loss": 2.0 / epoch, "val_top1_pct": 40.0 + 9 * epoch, "expected_macs": 430_000.0 - 5_000 * epoch}
    plain = network(epoch, options, {})
    return replace(plain, val_top1_pct=40.0 + 9 * epoch, values=values | gates)


def _layer_times_ms(found: ArchitectureRecord) -> dict[str, float]:
    blocks = len(found.arch["blocks"])
    return {"stem": 0.02, **{f"block {n}": n / 64 for n in range(1, blocks + 1)}, "head": 0.01, "classifier": 0.005}


def _measured() -> tuple[MeasuredNetwork, ...]:
    dice = random.Random(3)
    space = resolve_space(samples.CONFIG, DIGITS)
    origins = ("drawn", "random", "uniform", "mutated")
    found = [MeasuredNetwork.of(space.sample(dice), origins[number % 4], dice.uniform(50, 95)) for number in range(24)]
    return replace(found[0], val_top1_pct=95.5, chosen=True), *found[1:]


def doubtful_labels() -> DoubtfulLabels:
    """More labels than are shown at once, each with a picture."""
    return DoubtfulLabels(1797, [_doubtful(number) for number in range(DOUBTFUL)])


def _doubtful(number: int) -> DoubtfulLabel:
    content = io.BytesIO()
    Image.linear_gradient("L").rotate(12 * number).resize((16, 16)).save(content, "PNG")
    picture = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    label, other = str(number % 10), str((number + 3) % 10)
    return DoubtfulLabel(f"train/{label}/{number:04}.png", "train", label, 2.5, other, 97.0 - number, picture)


def run(stores: Stores, lease: Lease) -> None:
    """Report what a running search reports: phases, metrics, its best network, run states, where it is."""
    report(stores, lease, [_after(epoch) for epoch in range(1, EPOCHS + 1)])
    stores.updates.progress(lease, Progress("searching", 0.3, 6, 6, 240, 240, 900.0, 700.0, 1100.0))
    stores.updates.event(lease, EventKind.CANDIDATES_SCORED, {"count": 24, "val_images": 215, "mean": {"drawn": 71.5}})
    found, options = within_budget(1, val_top1_pct=88.37, val_images=215), options_of(_fitting_seed(1))
    stores.updates.architecture(lease, found, place_of(options, None))
    samples.save(stores, lease, 1)
    for epoch in (1, 2, 3):
        stores.updates.metrics(lease, "training", epoch, {"loss": 1.0 / epoch, "lr": 0.1 / epoch})
    stores.updates.progress(lease, Progress("training", 0.62, 4, 20, 130, 700, 400.0, 350.0, 460.0))


def finish(stores: Stores, lease: Lease, folder: Path, result: SearchResult, contents: Mapping[str, bytes]) -> None:
    """End a claimed search with `result` and files, by kind, with these contents."""
    stored: dict[str, StoredFile] = {}
    files: dict[str, ResultFile] = {}
    for kind, content in contents.items():
        path = folder / _NAMES[kind]
        path.write_bytes(content)
        stored[kind] = stores.artifacts.put(f"{lease.search_id}/{lease.fence}/{path.name}", path)
        files[kind] = ResultFile(Path(path.name), hashlib.sha256(content).hexdigest(), len(content))
    stores.claims.finish(lease, replace(result, files=files), stored)
