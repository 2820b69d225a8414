"""Slots on GPUs that do not exist, with real processes: every search process has a GPU to its own, and no sick one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from store.settings import Settings
from tests.worker.devices.faked_nvml import FOUR_GPUS, UNITS, A, B
from worker.devices.device import Device
from worker.devices.gpu import PROBE_COMMAND, GpuDevice
from worker.devices.gpu_slot import GpuSlot
from worker.devices.lock import lock_path
from worker.devices.selection import units_of
from worker.process import SupervisedProcess

PROBE = Path(__file__).with_name("scripted_probe.py")
SHOW = [sys.executable, "-c", "import os; print(os.environ['AUTONL_DEVICE'], os.environ['CUDA_VISIBLE_DEVICES'])"]
MakeSlot = Callable[..., GpuSlot]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, device="cuda", visible_gpus="all", gpu_locks_dir=tmp_path / "locks")


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A folder: a GPU is sick while it has a file with its UUID."""
    folder = tmp_path / "sick"
    folder.mkdir()
    return folder


@pytest.fixture
def make_slot(settings: Settings, sick: Path) -> Iterator[MakeSlot]:
    made: list[GpuSlot] = []

    def make(*uuids: str, number: int = 0, **changes: float) -> GpuSlot:
        changed = settings.model_copy(update=changes)
        made.append(GpuSlot(uuids, changed, number, probe=[sys.executable, str(PROBE), str(sick)]))
        return made[-1]

    yield make
    for slot in made:
        slot.close()


def taken(stack: ExitStack, slot: GpuSlot, due: bool = True) -> str | None:
    """The name of the device that the slot gets, for the length of the stack."""
    device = stack.enter_context(slot.take(lambda: due))
    return None if device is None else device.name


def seen_by_a_process(device: Device, settings: Settings, log: Path) -> str:
    process = SupervisedProcess.start(SHOW, log, settings, device)
    assert process.wait(30) == 0
    process.reap()
    return log.read_text().strip()


def test_four_gpus_one_in_two_slices_give_five_search_processes_a_device_each(
    settings: Settings, make_slot: MakeSlot, tmp_path: Path
) -> None:
    uuids = units_of(settings, lambda: FOUR_GPUS)
    with ExitStack() as stack:
        devices = [stack.enter_context(make_slot(*uuids, number=number).take(lambda: True)) for number in range(5)]
        seen = [
            seen_by_a_process(device, settings, tmp_path / f"{number}.log")
            for number, device in enumerate(devices)
            if device is not None
        ]
        assert seen == [f"cuda {uuid}" for uuid in UNITS]
        assert taken(stack, make_slot(*uuids, number=5)) is None  # of another worker, perhaps
    with ExitStack() as stack:
        assert taken(stack, make_slot(*uuids, number=5)) == A  # whose turn it would have been


def test_slots_that_prefer_the_same_gpu_get_different_ones(make_slot: MakeSlot) -> None:
    slots = [make_slot(A, B) for _ in range(3)]
    with ExitStack() as stack:
        assert [taken(stack, slot) for slot in slots] == [A, B, None]
    assert [slot.preferred.name for slot in slots] == [A, B, A]  # the next one is probably where the last one was


def test_a_gpu_that_fails_its_probe_is_skipped_said_once_and_tried_again_later(
    settings: Settings, make_slot: MakeSlot, sick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (sick / A).write_text("cuInit failed: CUDA_ERROR_ECC_UNCORRECTABLE (214)")
    slot, other = make_slot(A, B, gpu_retry_s=60), make_slot(A)
    with ExitStack() as stack:
        assert taken(stack, slot) == B
    assert f"GPU {A} is set aside for 60 s: probe 1 in a row failed: cuInit failed: CUDA_ERROR_ECC" in caplog.text
    (sick / A).unlink()
    with ExitStack() as stack:
        assert taken(stack, other) is None  # for every slot and worker, without another probe
    assert caplog.text.count("is set aside") == 1
    record = lock_path(settings.gpu_locks_dir, A)
    failures, until, reason = json.loads(record.read_text())
    record.write_text(json.dumps([failures, until - 60, reason]))  # a minute later
    with ExitStack() as stack:
        assert taken(stack, other) == A
    with ExitStack() as stack:
        assert taken(stack, make_slot(A)) == A  # and its failure is forgotten


def test_a_gpu_that_hangs_is_sick(settings: Settings, sick: Path) -> None:
    (sick / A).write_text("hang")
    device = GpuDevice(A, settings, [sys.executable, str(PROBE), str(sick)])
    assert device.lock.acquire()
    assert device.sickness(timeout_s=0.3) == "it did not respond within 0 s"
    assert device.waits
    device.lock.close()


def test_no_probe_is_made_while_no_search_is_due(make_slot: MakeSlot, sick: Path) -> None:
    (sick / A).write_text("it would be set aside")
    slot = make_slot(A)
    with ExitStack() as stack:
        assert taken(stack, slot, due=False) is None
    (sick / A).unlink()
    with ExitStack() as stack:
        assert taken(stack, slot) == A


def test_the_real_probe_says_what_is_missing(settings: Settings) -> None:
    """Where no driver is installed; where one is, the UUID is of no GPU."""
    device = GpuDevice(A, settings, PROBE_COMMAND)
    assert device.lock.acquire()
    reason = device.sickness()
    assert reason is not None
    assert "no CUDA driver: libcuda.so.1" in reason or "cuInit failed: CUDA_ERROR_" in reason
    device.lock.close()


def test_a_probe_that_cannot_be_started_is_no_error_of_the_worker(settings: Settings) -> None:
    device = GpuDevice(B, settings, [os.devnull])
    assert device.lock.acquire()
    assert "its probe could not be started" in (device.sickness() or "")
    device.lock.close()
