"""The checker and uploaded weights, with real processes: ready, refused, taken over; code in a file never runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from autonl_core.nn.weight_formats.pytorch_port import port_arch
from autonl_core.spec.weight_set import IMAGENET, WeightSetDetails
from autonl_core.spec.zoo import ZOO
from store.settings import Settings
from store.states import DatasetState, WeightSetState
from store.stores import Stores, open_stores
from tests.autonl_core.reference_vectors import port_state
from tests.servers import wait_for
from tests.worker.scripted_supervisor import is_gone
from worker.check_kinds import weight_checks
from worker.checker import Checker

STUCK = (sys.executable, "-c", "import time; time.sleep(600)")
NOTHING = WeightSetDetails()
CRASHING = (sys.executable, "-c", "import sys; print('what a file'); sys.exit(3)")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    quick = {"beat_s": 0.2, "lease_s": 2, "check_poll_s": 0.05, "poll_s": 0.05, "crash_backoff_s": 0}
    return settings.model_copy(update=quick)


@pytest.fixture
def opened(settings: Settings) -> Iterator[Stores]:
    stores = open_stores(settings)
    yield stores
    stores.close()


def upload(stores: Stores, tmp_path: Path, content: Any, details: WeightSetDetails = NOTHING) -> None:
    """Upload what `torch.save` writes of `content` as the weight set `mine`."""
    path = tmp_path / "upload.pt"
    torch.save(content, path)
    with stores.weight_sets.files.receive(None) as receiving:
        receiving.write(path.read_bytes())
        stores.weight_sets.add_upload("mine", receiving, details)


def state(stores: Stores) -> WeightSetState:
    return stores.weight_sets.get("mine").state


def start(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "worker.checker"], env=settings.environment())


@pytest.mark.long
def test_a_checker_recognises_weights_of_the_port_and_keeps_what_was_stated(
    opened: Stores, settings: Settings, tmp_path: Path
) -> None:
    details = WeightSetDetails(source="the authors", licence="Apache-2.0", top1_pct=76.5)
    upload(opened, tmp_path, port_state("autonl_s"), details)
    with start(settings) as checker:
        wait_for(lambda: state(opened) != WeightSetState.CHECKING, "it is checked", timeout_s=60)
        checker.terminate()
    entry = opened.weight_sets.get("mine")
    weights = entry.weights
    assert weights is not None, entry.problems
    assert (weights.arch, weights.network) == (port_arch(ZOO["autonl_s"].arch), "autonl_s")
    assert (weights.num_classes, weights.resolution, weights.normalisation) == (1000, 224, IMAGENET)
    assert (weights.source, weights.licence, weights.top1_pct) == ("the authors", "Apache-2.0", 76.5)
    assert (weights.format, weights.origin, weights.sha256) == ("pytorch-port", "uploaded", entry.sha256)
    assert {path.name for path in settings.weights_dir.iterdir()} == {f"{entry.sha256}.weights", ".lock"}


class Payload:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_code_in_a_file_is_refused_and_never_runs(opened: Stores, tmp_path: Path) -> None:
    upload(opened, tmp_path, {"model": Payload(tmp_path / "ran")}, WeightSetDetails(network="autonl_s"))
    assert Checker(opened, "here").tick(threading.Event())
    (problem,) = opened.weight_sets.get("mine").problems
    assert (state(opened), problem.code) == (WeightSetState.REFUSED, "not_readable")
    assert "reading it would run code" in problem.detail
    assert str(tmp_path) not in problem.detail
    assert not (tmp_path / "ran").exists()


@pytest.mark.long
def test_everything_that_does_not_fit_is_listed(opened: Stores, tmp_path: Path) -> None:
    weights = port_state("autonl_s")
    missing, misshaped = "features.0.0.weight", "features.3.project_conv.0.weight"
    weights["strange"] = weights.pop(missing)
    weights[misshaped] = torch.zeros(1, 2, 1, 1)
    upload(opened, tmp_path, weights, WeightSetDetails(network="autonl_s"))
    assert Checker(opened, "here").tick(threading.Event())
    (problem,) = opened.weight_sets.get("mine").problems
    assert problem.code == "does_not_fit"
    first, second, third = problem.tensors
    assert (first, second) == (f"missing {missing}", "unexpected strange")
    assert third.startswith(f"{misshaped} has shape (1, 2, 1, 1), the architecture needs (")


def test_a_crashing_check_is_retried_and_then_refused_with_its_last_message(opened: Stores, tmp_path: Path) -> None:
    upload(opened, tmp_path, {})
    checker = Checker(opened, "here", kinds=[weight_checks(opened, CRASHING)])
    for _ in range(opened.settings.max_crash_streak):
        assert state(opened) == WeightSetState.CHECKING
        assert checker.tick(threading.Event())
    (problem,) = opened.weight_sets.get("mine").problems
    assert "exited with code 3: what a file" in problem.detail


@pytest.mark.long
def test_a_check_dies_with_its_checker_and_another_checker_takes_over(
    opened: Stores, settings: Settings, tmp_path: Path
) -> None:
    upload(opened, tmp_path, port_state("autonl_s"), WeightSetDetails(network="autonl_s"))
    with start(settings) as first:
        wait_for(lambda: psutil.Process(first.pid).children(), "the check runs", timeout_s=20)
        (check_process,) = psutil.Process(first.pid).children()
        first.kill()
        wait_for(lambda: is_gone(check_process.pid), "it is gone", timeout_s=5)
    assert state(opened) == WeightSetState.CHECKING
    with start(settings) as second:
        wait_for(lambda: state(opened) == WeightSetState.READY, "the weights are ready", timeout_s=60)
        second.terminate()


def test_deleting_a_weight_set_ends_its_check(opened: Stores, tmp_path: Path) -> None:
    upload(opened, tmp_path, {})
    checker = Checker(opened, "here", kinds=[weight_checks(opened, STUCK)])
    checking = threading.Thread(target=checker.tick, args=(threading.Event(),))
    checking.start()
    wait_for(lambda: opened.weight_sets.get("mine").progress is not None, "it is claimed")
    opened.weight_sets.delete("mine")
    checking.join(10)
    assert not checking.is_alive()


@pytest.mark.long
def test_weights_do_not_wait_for_datasets(opened: Stores, tmp_path: Path) -> None:
    opened.datasets.add_path("pets", "folder", tmp_path / "nothing")
    upload(opened, tmp_path, {})
    checker = Checker(opened, "here")
    assert checker.tick(threading.Event())
    assert (state(opened), opened.datasets.get("pets").state) == (WeightSetState.REFUSED, DatasetState.CHECKING)
    assert checker.tick(threading.Event())
    assert opened.datasets.get("pets").state == DatasetState.INVALID
