"""A whole worker on a faked host with four GPUs, one of them in two slices, beside a worker on the CPU."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pytest

from autonl_core.datasets.spec import DIGITS
from store.states import SearchState
from tests.reliability.conftest import Start
from tests.reliability.service import ROOT, Service
from tests.servers import wait_for
from tests.store.sample_rows import CONFIG
from tests.worker.devices.faked_nvml import UNITS, B
from tests.worker.scripted_supervisor import SCRIPT

FAKED = f"{ROOT / 'tests/worker/devices/faked'}:{ROOT}"


def devices(service: Service) -> list[str]:
    """What the environment of every search process of the worker on GPUs says, as the kernel knows it."""
    found = []
    for process in service.search_processes("gpus"):
        with contextlib.suppress(psutil.NoSuchProcess):  # a probe, which has ended
            if str(SCRIPT) in process.cmdline():
                found.append(process.environ()["CUDA_VISIBLE_DEVICES"])
    return sorted(found)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_five_searches_have_a_device_each_a_sick_gpu_waits_and_the_cpu_takes_none(start: Start, tmp_path: Path) -> None:
    sick = tmp_path / "sick"
    sick.mkdir()
    (sick / B).write_text("it fell off the bus")
    service = start(
        device="cuda", gpu_locks_dir=tmp_path / "locks", gpu_retry_s=2, beat_s=2, lease_s=60, SICK_GPUS=sick
    )
    config = CONFIG.model_copy(update={"resource_class": "gpu"})
    searches = [service.stores.searches.create(config, DIGITS)[0].id for _ in range(6)]
    service.start_sweeper()
    service.start_worker("gpus", "endless", PYTHONPATH=FAKED, wait=False)
    service.start_worker("cpu", "endless", AUTONL_DEVICE="cpu", wait=False)
    fit = sorted(set(UNITS) - {B})
    wait_for(lambda: devices(service) == fit, f"four run: {devices(service)}", timeout_s=200)
    assert f"GPU {B} is set aside for 2 s: probe 1 in a row failed: it fell off the bus" in service.log("gpus")
    (sick / B).unlink()
    wait_for(lambda: devices(service) == sorted(UNITS), f"five run: {devices(service)}", timeout_s=100)
    wait_for(lambda: " ready." in service.log("cpu"), "the worker on the CPU is ready", timeout_s=100)
    states = [service.state(search_id) for search_id in searches]
    assert sorted(states) == [SearchState.QUEUED, *[SearchState.RUNNING] * 5]
    assert service.search_processes("cpu") == []
    attempts = [service.stores.searches.attempts(search_id) for search_id in searches]
    assert sorted(len(one) for one in attempts) == [0, 1, 1, 1, 1, 1]


@pytest.mark.long
def test_a_worker_that_finds_no_gpu_says_so_and_ends(start: Start) -> None:
    service = start(device="cuda:4")
    service.start_worker("gpus", None, wait=False, PYTHONPATH=FAKED)
    wait_for(lambda: service.processes["gpus"].poll() is not None, "it ends", timeout_s=60)
    assert service.processes["gpus"].returncode == 1
    assert "the worker cannot start: AUTONL_DEVICE is cuda:4: GPU 4 is not there. There are: cuda:0: GPU-aaaa" in (
        service.log("gpus")
    )
