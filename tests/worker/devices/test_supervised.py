"""Searches on GPUs that do not exist, by real supervisors: a sick GPU costs no search an attempt or a crash."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autonl_core.datasets.spec import DIGITS
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores, open_stores
from tests.store.sample_rows import CONFIG, queue_search
from tests.worker.conftest import database_url, settings, stores
from tests.worker.devices.faked_nvml import A, B
from tests.worker.scripted_supervisor import is_gone
from worker.devices.gpu_slot import GpuSlot
from worker.spare import Spare
from worker.supervisor import Supervisor

__all__ = ["database_url", "settings", "stores"]
PROBE = Path(__file__).with_name("scripted_probe.py")
# Ends as a crash, and if it has the GPU A, that falls off the bus.
CRASH = f"""
import os, sys
from pathlib import Path
if os.environ["CUDA_VISIBLE_DEVICES"] == "{A}":
    (Path(sys.argv[1]) / "{A}").write_text("it fell off the bus")
print("the reason is on the last line")
sys.exit(70)
"""


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    folder = tmp_path / "sick"
    folder.mkdir()
    return folder


def slot(settings: Settings, sick: Path, *uuids: str) -> GpuSlot:
    changed = settings.model_copy(update={"gpu_locks_dir": sick.with_name("locks")})
    return GpuSlot(uuids, changed, probe=[sys.executable, str(PROBE), str(sick)])


def test_with_a_sick_gpu_only_no_search_is_claimed(stores: Stores, settings: Settings, sick: Path) -> None:
    search_id = queue_search(stores)
    (sick / A).write_text("it fell off the bus")
    supervisor = Supervisor(stores, "worker-1", command=["false"], slot=slot(settings, sick, A))
    assert supervisor.run_until_idle() == 0
    assert stores.searches.get(search_id).state is SearchState.QUEUED
    assert stores.searches.attempts(search_id) == []


def test_a_worker_on_the_cpu_leaves_searches_for_gpus(stores: Stores) -> None:
    stores.searches.create(CONFIG.model_copy(update={"resource_class": "gpu"}), DIGITS)
    assert Supervisor(stores, "worker-1", command=["false"]).run_until_idle() == 0


def test_a_gpu_that_fails_during_a_search_is_to_blame_and_the_next_one_takes_it(settings: Settings, sick: Path) -> None:
    stores = open_stores(settings.model_copy(update={"max_crash_streak": 1}))
    search_id = queue_search(stores)
    command = [sys.executable, "-c", CRASH, str(sick)]
    gpus = slot(settings, sick, A, B)
    assert Supervisor(stores, "worker-1", command=command, slot=gpus).run_until_idle() == 2
    first, second = stores.searches.attempts(search_id)
    assert (first.exit_class, first.detail) == (ExitClass.DRAINED, "its GPU failed: it fell off the bus")
    assert second.exit_class is ExitClass.CRASHED  # on a GPU that passes its probe
    assert stores.searches.get(search_id).crash_streak == 1
    assert gpus.preferred.name == B
    stores.close()


def test_a_process_that_waits_for_one_gpu_takes_no_search_on_another(
    stores: Stores, settings: Settings, sick: Path, tmp_path: Path
) -> None:
    (sick / A).write_text("it fell off the bus")
    spare, gpus = Spare(["sleep", "100"], settings), slot(settings, sick, A, B)
    spare.renew(device=gpus.preferred)
    waiting = spare.pid
    assert waiting is not None
    queue_search(stores)
    lease = stores.claims.claim("worker-1")
    assert lease is not None
    with gpus.take(lambda: True) as device:
        assert device is not None
        assert device.name == B
        assert spare.take(lease, tmp_path / "log", device) is None
    assert is_gone(waiting)
