"""In place of NVIDIA's package, for workers with this folder on their path: four GPUs, one in two slices."""

from __future__ import annotations

import sys

from tests.worker.devices.faked_nvml import FOUR_GPUS

sys.modules[__name__] = FOUR_GPUS  # type: ignore[assignment]
