"""A slot on one of several GPUs: a free one that passes its probe, found before a search is claimed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from autonl_core.spec.config import ResourceClass
from store.settings import Settings
from store.turns import SERVED_BY_GPU
from worker.devices.device import Device
from worker.devices.gpu import PROBE_COMMAND, GpuDevice

log = logging.getLogger(__name__)


class GpuSlot:
    """One slot of a worker; other slots, and other workers of this host, share the GPUs with it.

    A search is claimed only once its GPU is locked and has passed a probe, so a sick GPU costs no search an attempt.

    Args:
        uuids: of the GPUs and MIG slices that it may use.
        number: of the slot: slots prefer different ones.
        probe: see `GpuDevice`.

    Raises:
        OSError: a lock cannot be made.
    """

    served: Sequence[ResourceClass] = SERVED_BY_GPU
    exports_elsewhere: bool = True

    def __init__(
        self, uuids: Sequence[str], settings: Settings, number: int = 0, probe: Sequence[str] = PROBE_COMMAND
    ) -> None:
        self._devices = [GpuDevice(uuid, settings, probe) for uuid in uuids]
        self._preferred = number % len(uuids)

    @property
    def preferred(self) -> Device:
        return self._devices[self._preferred]

    @contextmanager
    def take(self, any_due: Callable[[], bool]) -> Iterator[Device | None]:
        """A GPU that no one else has and that just passed its probe; None: there is none, or no search for it."""
        device = self._locked_and_fit() if any_due() else None
        try:
            yield device
        finally:
            if device is not None:
                device.lock.release()

    def _locked_and_fit(self) -> GpuDevice | None:
        for step in range(len(self._devices)):
            place = (self._preferred + step) % len(self._devices)
            device = self._devices[place]
            if device.waits or not device.lock.acquire():
                continue
            if device.sickness() is None:
                self._preferred = place
                return device
            device.lock.release()
        log.info("no search claimed: no GPU is free and fit")
        return None

    def close(self) -> None:
        """Close the locks."""
        for device in self._devices:
            device.lock.close()
