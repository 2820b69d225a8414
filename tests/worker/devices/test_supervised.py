"""Searches on GPUs that do not exist, by real supervisors: a sick GPU costs no search an attempt or a crash."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autonl_core.datasets.spec import DIGITS
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores, open_stores
from tests.servers import wait_for
from tests.store.sample_rows import CONFIG, queue_search
from tests.worker.conftest import database_url, settings, stores
from tests.worker.devices.faked_nvml import A, B
from tests.worker.scripted_supervisor import command, is_gone, search_pid
from worker.devices.device import CpuSlot, Slot
from worker.devices.gpu_slot import GpuSlot
from worker.spare import Spare
from worker.supervisor import Supervisor

__all__ = ["database_url", "settings", "stores"]
PROBE = Path(__file__).with_name("scripted_probe.py")
# Falls off the bus, and crashes, while it exports.
CRASH_IN_EXPORT = f"""
import sys, time
from pathlib import Path
from tests.worker.scripted_process import PHASES_OF_EXPORT, Lease, Progress, ScriptedSearch, Settings, open_stores
scripted = ScriptedSearch(open_stores(Settings()), Lease(sys.argv[2], int(sys.argv[3])))
for phase in PHASES_OF_EXPORT:
    scripted.sink.progress(Progress(phase, 0.9))
time.sleep(1)
(Path(sys.argv[1]) / "{A}").write_text("it fell off the bus")
sys.exit(70)
"""
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


@contextmanager
def supervised(stores: Stores, where: Slot, draining: threading.Event) -> Iterator[list[int]]:
    """A supervisor of searches that export, in a thread; afterwards the list has the number of its attempts."""
    attempts: list[int] = []
    supervisor = Supervisor(stores, "worker-1", draining=draining.is_set, command=command("export"), slot=where)
    thread = threading.Thread(target=lambda: attempts.append(supervisor.run_until_idle()))
    thread.start()
    try:
        yield attempts
        thread.join(60)
        assert not thread.is_alive(), "the supervisor is still running"
    finally:
        draining.set()
        thread.join(60)


def exporting(stores: Stores, search_id: str) -> bool:
    return stores.searches.get(search_id).phase == "exporting"


@pytest.mark.long
def test_a_search_that_exports_leaves_its_gpu_to_the_next_one(stores: Stores, settings: Settings, sick: Path) -> None:
    first, second, third = (queue_search(stores) for _ in range(3))
    other_worker = slot(settings, sick, A)
    with supervised(stores, slot(settings, sick, A), threading.Event()) as attempts:
        wait_for(lambda: exporting(stores, second), "the second search exports beside the first", 60)
        pids = [search_pid(stores, search_id) for search_id in (first, second)]
        assert exporting(stores, first)
        assert not any(map(is_gone, pids))
        assert stores.searches.get(third).attempts == 0  # no more than one exports beside the one that has the GPU
        with other_worker.take(lambda: True) as device:
            assert device is None
        (settings.data_dir / "exported").touch()
    assert attempts == [3]
    assert {stores.searches.get(one).state for one in (first, second, third)} == {SearchState.SUCCEEDED}
    with other_worker.take(lambda: True) as device:
        assert device is not None


@pytest.mark.long
def test_while_one_search_exports_its_gpu_is_free_for_every_worker(
    stores: Stores, settings: Settings, sick: Path
) -> None:
    search_id = queue_search(stores)
    other_worker = slot(settings, sick, A)

    def other_gets_it() -> bool:
        with other_worker.take(lambda: True) as device:
            return device is not None

    with supervised(stores, slot(settings, sick, A), threading.Event()):
        pid = search_pid(stores, search_id)
        wait_for(other_gets_it, "another worker gets the GPU", 60)
        assert not is_gone(pid)
        late = queue_search(stores)  # becomes due while the slot only waits for the export
        wait_for(lambda: exporting(stores, late), "it exports too", 60)
        (settings.data_dir / "exported").touch()
    assert stores.searches.get(late).state is SearchState.SUCCEEDED


@pytest.mark.long
def test_on_the_cpu_the_next_search_waits_for_the_export(stores: Stores, settings: Settings) -> None:
    first, second = queue_search(stores), queue_search(stores)
    with supervised(stores, CpuSlot(), threading.Event()) as attempts:
        wait_for(lambda: exporting(stores, first), "the first exports", 60)
        threading.Event().wait(3 * settings.poll_s)
        assert stores.searches.get(second).attempts == 0
        (settings.data_dir / "exported").touch()
    assert attempts == [2]


@pytest.mark.long
def test_a_drain_stops_both_the_search_that_exports_and_the_next_one(
    stores: Stores, settings: Settings, sick: Path
) -> None:
    first, second = queue_search(stores), queue_search(stores)
    draining = threading.Event()
    with supervised(stores, slot(settings, sick, A), draining):
        wait_for(lambda: exporting(stores, first) and exporting(stores, second), "both export", 60)
        draining.set()
    for search_id in (first, second):
        assert stores.searches.get(search_id).state is SearchState.QUEUED
        assert [one.exit_class for one in stores.searches.attempts(search_id)] == [ExitClass.DRAINED]


@pytest.mark.long
def test_a_crash_while_exporting_is_not_blamed_on_the_gpu_that_was_left(settings: Settings, sick: Path) -> None:
    stores = open_stores(settings.model_copy(update={"max_crash_streak": 1}))
    search_id = queue_search(stores)
    script = [sys.executable, "-c", CRASH_IN_EXPORT, str(sick)]
    assert Supervisor(stores, "worker-1", command=script, slot=slot(settings, sick, A)).run_until_idle() == 1
    assert [one.exit_class for one in stores.searches.attempts(search_id)] == [ExitClass.CRASHED]
    stores.close()
