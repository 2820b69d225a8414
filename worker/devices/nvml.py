"""Finds the GPUs of this host, and the MIG slices that they are divided into, by NVIDIA's library (NVML).

It is loaded only where `AUTONL_DEVICE` names a GPU. No CUDA is initialised: the worker must stay free of it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

log = logging.getLogger(__name__)


class DeviceError(Exception):
    """The devices that the settings name cannot be used. The message says why, and the way out."""


class Nvml(Protocol):
    """What is used of the module `pynvml`. Handles are opaque; every function may raise `NVMLError`."""

    @property
    def NVMLError(self) -> type[Exception]: ...  # noqa: N802
    @property
    def NVML_DEVICE_MIG_ENABLE(self) -> int: ...  # noqa: N802
    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlShutdown(self) -> None: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802
    def nvmlDeviceGetUUID(self, handle: Any) -> str: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Any) -> str: ...  # noqa: N802
    def nvmlDeviceGetMigMode(self, handle: Any) -> list[int]: ...  # noqa: N802
    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Any, index: int) -> Any: ...  # noqa: N802


@dataclass(frozen=True)
class FoundGpu:
    """A GPU of this host.

    Args:
        index: its number, in the order of `nvidia-smi`.
        slices: UUIDs of its MIG slices; None: it is not divided. It may be divided into none.
    """

    index: int
    uuid: str
    name: str
    slices: tuple[str, ...] | None = None

    @property
    def units(self) -> tuple[str, ...]:
        """UUIDs of what one search each can compute on: the slices, or the whole GPU."""
        return (self.uuid,) if self.slices is None else self.slices


def load_nvml() -> Nvml:
    """The module. Raises DeviceError if it is not installed."""
    try:
        module: Any = import_module("pynvml")
    except ImportError as error:
        raise DeviceError("GPUs are found by the package nvidia-ml-py, which is not installed: install it") from error
    nvml: Nvml = module
    return nvml


def find_gpus(nvml: Nvml) -> list[FoundGpu]:
    """All GPUs of this host that respond. Raises DeviceError if there is no driver that would know."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise DeviceError(f"this host has no GPU that NVIDIA's driver knows ({error})") from error
    try:
        return list(_responding(nvml))
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _responding(nvml: Nvml) -> Iterator[FoundGpu]:
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
        except nvml.NVMLError as error:
            log.warning("GPU %d does not respond and is not used: %s", index, error)
            continue
        slices = _slices(nvml, handle)
        if slices == ():
            log.warning("GPU %d (%s) is in MIG mode but has no slices; it is not used", index, uuid)
        yield FoundGpu(index, uuid, name, slices)


def _slices(nvml: Nvml, handle: Any) -> tuple[str, ...] | None:
    """UUIDs of the MIG slices of a GPU; None: it is not in MIG mode, or does not know it."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        return None
    if current != nvml.NVML_DEVICE_MIG_ENABLE:
        return None
    found = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with contextlib.suppress(nvml.NVMLError):  # a number without a slice
            found.append(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)))
    return tuple(found)
