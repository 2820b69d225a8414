"""What the command line makes of figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.result import BaselineResult, Certificate, ClassResult, ConstraintCheck, LatencyCheck, ResultFile
from cli.accuracies import validation_text
from cli.render import share_done
from cli.render_search import start_text
from store.stores import Stores
from tests.api.http_service import start
from tests.cli.test_commands import autonl
from tests.store import sample_rows as samples


@pytest.mark.parametrize(
    ("state", "fraction", "done"),
    [("running", 0.0, 0.0), ("running", 0.29, 0.29), ("running", 0.999, 0.99), ("paused", 1.0, 0.99),
     ("succeeded", 0.7, 1.0)],
)  # fmt: skip
def test_only_a_search_that_succeeded_is_done(state: str, fraction: float, done: float) -> None:
    assert share_done({"state": state, "progress": {"fraction": fraction}}) == done


def test_a_search_without_progress_has_done_nothing() -> None:
    assert share_done({"state": "queued", "progress": None}) == 0.0


@pytest.mark.parametrize(
    ("right", "images", "text"),
    [(12, 13, "92% of about 13 validation images"), (1, 1, "100% of about 1 validation image"),
     (92, 100, "92.0% of about 100 validation images"), (1187, 1300, "91.31% of about 1,300 validation images")],
)  # fmt: skip
def test_an_accuracy_has_no_more_digits_than_its_images_bear(right: int, images: int, text: str) -> None:
    best = {"val_top1_pct": 100 * right / images}
    assert validation_text({"best": best, "val_images": images}) == text
    assert validation_text({"best": best}) == f"{100 * right / images:.1f}% of the validation images"
    assert validation_text({"best": {"val_top1_pct": None}, "val_images": images}) is None
    assert validation_text({"best": None, "val_images": images}) is None


def finished(service: httpx.Client, stores: Stores, *kinds: str, **changes: Any) -> tuple[str, list[str]]:
    """A search that succeeded with files of these kinds, and the lines of `autonl status`."""
    search_id = start(service)
    files = {kind: ResultFile(Path(f"{kind}.file"), "0" * 64, 10) for kind in kinds}
    stored = {kind: replace(samples.CHECKPOINT, key=f"{search_id}/1/{kind}") for kind in kinds}
    stores.claims.finish(samples.claim(stores), replace(samples.result(), files=files, **changes), stored)
    return search_id, [" ".join(line.split()) for line in autonl("status", search_id).stdout.splitlines()]


def test_status_has_the_share_of_macs_and_time_of_every_block(service: httpx.Client, stores: Stores) -> None:
    blocks = len(samples.result().architecture.arch["blocks"])
    times_ms = {"stem": 0.5, **{f"block {number}": 0.5 for number in range(1, blocks + 1)}, "head": 0.5}
    search_id, lines = finished(service, stores, "safetensors", layer_times_ms=times_ms)
    architecture = service.get(service.get(f"/searches/{search_id}").json()["links"]["best"]).json()
    macs = architecture["macs"]
    share = f"{100 * architecture['blocks'][0]['macs'] / macs:.1f}% {100 / (blocks + 2):.1f}%"
    assert any(line.startswith("1 MBConv") and share in line for line in lines)
    ends = ", ".join(f"{end} {100 * architecture[end]['macs'] / macs:.1f}%" for end in ("stem", "head"))
    assert f"share: of the MACs; {ends}" in lines
    assert "time: share of it for one image in PyTorch, batch norms folded" in lines


def test_after_success_status_and_watch_name_the_next_commands(service: httpx.Client, stores: Stores) -> None:
    search_id, lines = finished(service, stores, "safetensors", "onnx", "bundle", "report-html")
    commands = [
        f"download autonl download {search_id} --format bundle",
        f"report autonl report {search_id}",
        f"predict autonl predict -s {search_id} IMAGE...",
    ]
    assert [line for line in lines if search_id in line][1:] == commands
    watched = [" ".join(line.split()) for line in autonl("watch", search_id).stdout.splitlines()]
    assert [line for line in watched if line in commands] == commands
    search_id, lines = finished(service, stores, "safetensors")
    assert [line for line in lines if search_id in line][1:] == [f"download autonl download {search_id}"]


def test_the_classes_that_are_recognised_least_come_first(service: httpx.Client, stores: Stores) -> None:
    figures = [("hat", 90, 9, 9), ("shirt", 80, 8, 3), ("sock", 5, 0, 0), ("coat", 70, 10, 5)]
    classes = tuple(ClassResult(name, train, test, correct, correct) for name, train, test, correct in figures)
    _, lines = finished(service, stores, "safetensors", classes=classes)
    assert "by class lowest first: sock 0 of 0, shirt 3 of 8, coat 5 of 10, hat 9 of 9" in lines
    many = tuple(ClassResult(f"c{number}", 9, 20, number, number) for number in range(12))
    _, lines = finished(service, stores, "safetensors", classes=many)
    assert " ".join(lines).count(" of 20") == 10
    assert "and 2 more" in " ".join(lines)


def test_a_baseline_that_was_not_measured_says_only_why(service: httpx.Client, stores: Stores) -> None:
    measured = BaselineResult("uniform", "in8 | x", 390_000, 8_000, 340, 94.71)
    unfit = replace(measured, name="off-the-shelf", test_correct=None, test_top1_pct=None, problem="it does not fit")
    _, lines = finished(service, stores, "safetensors", baselines=(measured, unfit))
    assert "baseline uniform: test top-1 94.71% at 390,000 MACs" in lines
    assert "baseline off-the-shelf: it does not fit" in lines


def test_what_is_limited_besides_macs_is_shown_with_what_the_network_has(service: httpx.Client, stores: Stores) -> None:
    checks = (
        ConstraintCheck("params", 2_000_000, 1_834_210, "the architecture"),
        ConstraintCheck("weights_bytes", 8_000_000, 7_201_332, "weights and biases of the exported ONNX graph"),
    )
    certificate = Certificate("model.onnx", "products", 8, 400_000, 396_000, 4_000, 1.0, {}, checks)
    latency = LatencyCheck("a phone, 1 thread", "0" * 64, 0.3, 0.28711, None, "it was exported elsewhere")
    _, lines = finished(service, stores, "safetensors", certificate=certificate, latency_check=latency)
    assert "params 1,834,210 of 2,000,000 allowed" in lines
    assert "weights_bytes 7,201,332 of 8,000,000 allowed" in lines
    said = "latency 0.287 ms predicted of 0.3 ms allowed, not measured: it was exported elsewhere, on a phone, 1 thread"
    assert said in " ".join(lines)


def test_how_far_its_probabilities_can_be_believed_is_shown(service: httpx.Client, stores: Stores) -> None:
    _, lines = finished(service, stores, "safetensors", calibration=ProbabilityCalibration(0.7157, 713, 0.0829, 0.0239))
    said = (
        "probabilities off by 2.4 points in the mean, 8.3 points before the classifier was divided by a temperature of"
    )
    assert f"{said} 0.72" in " ".join(lines)


def test_the_list_shows_the_best_network_of_a_search_that_has_no_result(service: httpx.Client, stores: Stores) -> None:
    finished_id, _ = finished(service, stores, "safetensors")
    search_id = start(service)
    lease = samples.claim(stores)
    best = samples.architecture(seed=1, val_top1_pct=91.5)
    stores.updates.architecture(lease, best)
    stores.control.cancel(search_id)
    stores.claims.cancelled(lease)
    lines = {line.split()[0]: line.split() for line in autonl("list").stdout.splitlines()[1:]}
    assert lines[search_id][4:7] == [f"{best.macs / 1000:.4g}k", "validation", "91.5%"]
    assert lines[finished_id][5] == "98.00%"


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, "random weights"),
        ({"init": "none", "resolution": 32}, "random weights at 32 pixels"),
        ({"init": "efficientnet-lite0", "resolution": None}, "the weights efficientnet-lite0"),
    ],
)
def test_a_start_is_said_as_far_as_it_is_decided(config: dict[str, Any], text: str) -> None:
    assert start_text(config) == text
