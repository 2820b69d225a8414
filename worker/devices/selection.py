"""Which GPUs and MIG slices a worker uses: what its settings name, among what there is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from store.settings import Settings
from worker.devices.nvml import DeviceError, FoundGpu, Nvml, find_gpus, load_nvml

log = logging.getLogger(__name__)


def units_of(settings: Settings, load: Callable[[], Nvml] = load_nvml) -> tuple[str, ...]:
    """UUIDs of what one search each computes on; none: searches compute on the CPU, and no driver was asked.

    Raises:
        DeviceError: the settings name a GPU that is not there, or not usable.
    """
    if settings.device == "cpu":
        return ()
    try:
        found = find_gpus(load())
        units = select(visible(found, settings.visible_gpus), settings.device)
    except DeviceError as error:
        raise DeviceError(
            f"AUTONL_DEVICE is {settings.device}: {error}. Name another device, or cpu to compute on the CPU"
        ) from error
    log.info("GPUs and MIG slices of this worker: %s", ", ".join(units))
    return units


def slots_of(settings: Settings, units: Sequence[str]) -> int:
    """How many searches a worker with these GPUs and slices runs at the same time; without any, on the CPU."""
    if not units:
        return settings.slots or 1
    if settings.slots > len(units):
        log.warning("AUTONL_SLOTS is %d; searches run on %d GPUs or slices, one on each", settings.slots, len(units))
    return min(settings.slots or len(units), len(units))


def visible(gpus: Sequence[FoundGpu], listed: str) -> list[FoundGpu]:
    """Of the GPUs of the host those that CUDA_VISIBLE_DEVICES allows, in its order, which is that of their numbers.

    Args:
        listed: numbers, UUIDs of GPUs, UUIDs of MIG slices, or beginnings of UUIDs; or `all`.

    Raises:
        DeviceError: one of them is not there.
    """
    if listed == "all":
        return list(gpus)
    chosen: list[FoundGpu] = []
    for name in filter(None, listed.split(",")):
        if name.isdecimal():
            chosen += [gpu for gpu in gpus if gpu.index == int(name)] or _missing(gpus, f"GPU {name}, which is visible")
        else:
            chosen.append(_named(gpus, name))
    if not chosen:
        raise DeviceError("CUDA_VISIBLE_DEVICES is empty, so no GPU may be used")
    return chosen


def select(gpus: Sequence[FoundGpu], device: str) -> tuple[str, ...]:
    """The UUIDs that `device` (`cuda`, `cuda:N`, a UUID) names: of a GPU in slices, those of the slices.

    Raises:
        DeviceError: there is no such GPU or slice, or it is in MIG mode but has no slices.
    """
    if not gpus:
        raise DeviceError("this host has no GPU")
    if device == "cuda":
        chosen = list(gpus)
    elif device.startswith("cuda:"):
        number = int(device.removeprefix("cuda:"))
        chosen = [gpus[number]] if number < len(gpus) else _missing(gpus, f"GPU {number}")
    else:
        chosen = [_named(gpus, device)]
    units = tuple(dict.fromkeys(unit for gpu in chosen for unit in gpu.units))
    if not units:
        raise DeviceError(f"{device} is in MIG mode but has no slices; create some, or turn MIG off")
    return units


def _named(gpus: Sequence[FoundGpu], uuid: str) -> FoundGpu:
    """The GPU with this UUID or one that begins so; for a MIG slice, its GPU with only that slice."""
    whole = [gpu for gpu in gpus if gpu.uuid.startswith(uuid)]
    in_part = [replace(gpu, slices=(one,)) for gpu in gpus for one in gpu.slices or () if one.startswith(uuid)]
    found = [*whole, *in_part]
    if len(found) > 1:
        raise DeviceError(f"{uuid} is the beginning of several UUIDs; write more of it")
    return found[0] if found else _missing(gpus, uuid)[0]


def _missing(gpus: Sequence[FoundGpu], wanted: str) -> list[FoundGpu]:
    there = "; ".join(f"cuda:{number}: {', '.join(gpu.units) or gpu.uuid}" for number, gpu in enumerate(gpus))
    raise DeviceError(f"{wanted} is not there. There are: {there or 'none'}")
