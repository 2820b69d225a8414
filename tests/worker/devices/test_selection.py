"""Which GPUs and MIG slices a worker uses, on faked hosts."""

from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from autonl_core.host.cpus import available_cpus
from store.settings import Settings
from tests.worker.devices.faked_nvml import D1, D2, FOUR_GPUS, UNITS, A, B, C, D, FakedGpu, FakedNvml
from worker.devices.nvml import DeviceError, load_nvml
from worker.devices.selection import slots_of, units_of


def units(device: str, visible: str = "all", host: FakedNvml = FOUR_GPUS) -> tuple[str, ...]:
    return units_of(Settings(device=device, visible_gpus=visible), load=lambda: host)


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cuda", "all", UNITS),
        ("cuda:1", "all", (B,)),
        ("cuda:3", "all", (D1, D2)),  # of a GPU in slices, the slices
        (C, "all", (C,)),
        (C[:8], "all", (C,)),  # the beginning of a UUID, as for CUDA itself
        (D, "all", (D1, D2)),
        (D2, "all", (D2,)),
        ("cuda", "2,0", (C, A)),
        ("cuda:0", "2,0", (C,)),  # counted among those that are visible
        ("cuda", f"{B},{D1}", (B, D1)),
        ("cuda", "3", (D1, D2)),
        ("cuda", "1,1", (B,)),
    ],
)
def test_settings_name_gpus_and_slices(device: str, visible: str, expected: tuple[str, ...]) -> None:
    assert units(device, visible) == expected


@pytest.mark.parametrize(
    ("device", "visible", "message"),
    [
        ("cuda:4", "all", f"AUTONL_DEVICE is cuda:4: GPU 4 is not there. There are: cuda:0: {A}; cuda:1: {B}; "),
        ("cuda:1", "2", f"GPU 1 is not there. There are: cuda:0: {C}. Name another device, or cpu"),
        ("GPU-ffff", "all", "GPU-ffff is not there"),
        ("MIG-3333", "all", "MIG-3333 is not there"),
        (D1, A, "MIG-.* is not there"),  # not visible
        ("cuda", "7", "GPU 7, which is visible is not there"),
        ("cuda", "", "CUDA_VISIBLE_DEVICES is empty"),
    ],
)
def test_what_is_not_there_is_an_error_that_says_what_there_is(device: str, visible: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        units(device, visible)


def test_the_beginning_of_several_uuids_is_refused() -> None:
    host = FakedNvml([FakedGpu("GPU-abcd1"), FakedGpu("GPU-abcd2")])
    with pytest.raises(DeviceError, match="GPU-abcd is the beginning of several UUIDs"):
        units("GPU-abcd", host=host)
    assert units("GPU-abcd2", host=host) == ("GPU-abcd2",)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_without_a_driver_or_a_gpu_the_way_out_is_said(device: str) -> None:
    with pytest.raises(DeviceError, match=r"no GPU that NVIDIA's driver knows \(Driver Not Loaded\).*or cpu"):
        units(device, host=FakedNvml([], has_driver=False))
    with pytest.raises(DeviceError, match="this host has no GPU"):
        units(device, host=FakedNvml([]))


def test_the_library_itself_says_so_on_a_host_without_a_driver() -> None:
    """The real package, where no driver is installed; where one is, this host has GPUs."""
    nvml = load_nvml()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        with pytest.raises(DeviceError, match="AUTONL_DEVICE is cuda: this host has no GPU that NVIDIA's driver knows"):
            units_of(Settings(device="cuda"))
    else:
        assert units_of(Settings(device="cuda"))


def test_on_the_cpu_no_driver_is_asked() -> None:
    def load() -> FakedNvml:
        raise AssertionError

    assert units_of(Settings(), load) == ()


def test_a_gpu_that_is_lost_and_one_without_slices_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    host = FakedNvml([FakedGpu(A), FakedGpu(B, lost=True), FakedGpu(C, {})])
    with caplog.at_level(logging.WARNING):
        assert units("cuda", host=host) == (A,)
    assert "GPU 1 does not respond and is not used: GPU is lost" in caplog.text
    assert f"GPU 2 ({C}) is in MIG mode but has no slices" in caplog.text
    with pytest.raises(DeviceError, match=r"GPU-cccc.* is in MIG mode but has no slices"):
        units(C, host=host)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "cuda:x", "GPU-", "cuda,cpu", "", "CPU"])
def test_other_names_of_devices_are_refused_with_those_that_are_known(device: str) -> None:
    with pytest.raises(ValidationError, match=r"AUTONL_DEVICE is .*; use cpu, cuda for all GPUs, cuda:N"):
        Settings(device=device)


def test_memory_of_searches_is_limited_on_the_cpu_only() -> None:
    with pytest.raises(ValidationError, match="CUDA reserves far more"):
        Settings(device="cuda:1", child_memory_bytes=1 << 30)


@pytest.mark.parametrize(
    ("slots", "gpus", "expected"), [(0, (), 1), (3, (), 3), (0, UNITS, 5), (2, UNITS, 2), (9, UNITS, 5)]
)
def test_one_slot_on_every_gpu_and_no_more(slots: int, gpus: tuple[str, ...], expected: int) -> None:
    assert slots_of(Settings(slots=slots), gpus) == expected


def test_slots_on_gpus_share_the_cpus_unless_threads_are_set() -> None:
    assert Settings(device="cuda").for_slots(available_cpus()).threads == 1
    assert Settings(device="cuda", threads=7).for_slots(4).threads == 7
    assert "AUTONL_THREADS" not in Settings().environment()  # a worker finds its number of slots on its own
    assert Settings(threads=7).environment()["AUTONL_THREADS"] == "7"
