"""A stand-in for NVIDIA's library: hosts with GPUs that are described here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NVMLError(Exception):
    """As the library raises it."""


@dataclass(frozen=True)
class FakedGpu:
    """A GPU of a faked host. `slices`: by their numbers; None: one that does not know MIG, or has it turned off."""

    uuid: str
    slices: dict[int, str] | None = None
    lost: bool = False


@dataclass(frozen=True)
class FakedNvml:
    """What `worker/devices/nvml.py` uses of the library. Handles are GPUs, and UUIDs of slices."""

    gpus: Sequence[FakedGpu]
    has_driver: bool = True
    NVML_DEVICE_MIG_ENABLE: int = 1
    NVMLError: type[Exception] = NVMLError

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.has_driver:
            raise NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.nvmlInit()

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakedGpu:  # noqa: N802
        if self.gpus[index].lost:
            raise NVMLError("GPU is lost")
        return self.gpus[index]

    def nvmlDeviceGetUUID(self, handle: FakedGpu | str) -> str:  # noqa: N802
        return handle if isinstance(handle, str) else handle.uuid

    def nvmlDeviceGetName(self, handle: FakedGpu) -> str:  # noqa: N802
        return f"Faked {handle.uuid}"

    def nvmlDeviceGetMigMode(self, handle: FakedGpu) -> list[int]:  # noqa: N802
        if handle.slices is None and handle is self.gpus[0]:
            raise NVMLError("Not Supported")
        return [0, 1] if handle.slices is None else [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: FakedGpu) -> int:  # noqa: N802
        assert handle.slices is not None
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: FakedGpu, index: int) -> str:  # noqa: N802
        assert device.slices is not None
        if index not in device.slices:
            raise NVMLError("Not Found")
        return device.slices[index]


A, B, C, D = (f"GPU-{letter * 8}-0000-4000-8000-000000000000" for letter in "abcd")
D1, D2 = (f"MIG-{number * 8}-0000-4000-8000-000000000000" for number in "12")
FOUR_GPUS = FakedNvml([FakedGpu(A), FakedGpu(B), FakedGpu(C), FakedGpu(D, {0: D1, 3: D2})])
UNITS = (A, B, C, D1, D2)  # of this host
