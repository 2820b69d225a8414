"""What the slots of a worker compute on, and how many there are; part of `store/settings.py`."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from autonl_core.host.cpus import available_cpus

_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,4})?|(GPU|MIG)-[A-Za-z0-9/-]{4,}")


def _share_of_a_slot(settings: dict[str, Any]) -> int:
    """CPU threads of one search, if nothing is said: each slot gets its share of the CPUs that the worker may use."""
    slots: int = settings.get("slots", 1)  # missing if it is invalid, which is reported
    return max(1, available_cpus() // max(1, slots))


def _own_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"autonl-gpus-{os.getuid()}"


class SlotSettings(BaseSettings):
    """By default one slot, on the CPU."""

    device: str = Field(
        default="cpu",
        description="what searches compute on: cpu; cuda, all GPUs; cuda:N, the GPU with this number; a UUID, GPU-...; "
        "a MIG slice, MIG-.... Of a GPU in slices, all are used",
    )
    visible_gpus: str = Field(
        default="all",
        validation_alias=AliasChoices("visible_gpus", "AUTONL_VISIBLE_GPUS", "CUDA_VISIBLE_DEVICES"),
        description="numbers or UUIDs of the only GPUs that a worker may use, separated by commas; cuda:N counts these",
    )
    gpu_locks_dir: Path = Field(
        default_factory=_own_folder,
        description="folder of the locks of GPUs; the workers of one host must share it, or two may use the same GPU",
    )
    gpu_retry_s: float = Field(
        default=60, gt=0, description="how long a GPU is set aside that failed its probe; doubles, up to an hour"
    )
    slots: int = Field(
        default=0,
        ge=0,
        description="searches one worker runs at the same time, on GPUs one on each at most; 0: one on every GPU, or "
        "one on the CPU",
    )
    threads: int = Field(
        default_factory=_share_of_a_slot,
        ge=1,
        description="CPU threads of one search, at most; by default a slot's share of the CPUs that the worker may use",
    )

    ranks: int = Field(
        default=1,
        ge=1,
        description="processes that compute one search on the CPU together, at most; as many as divide its "
        "batch_parts, and they share its threads",
    )

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, value: str) -> str:
        if _DEVICE.fullmatch(value) is None:
            raise ValueError(
                f"AUTONL_DEVICE is {value!r}; use cpu, cuda for all GPUs, cuda:N for one of them, or the UUID of a GPU "
                "or of a MIG slice as `nvidia-smi -L` prints it: GPU-... or MIG-..."
            )
        return value

    @field_validator("visible_gpus")
    @classmethod
    def _without_spaces(cls, value: str) -> str:
        return value.replace(" ", "")

    @model_validator(mode="after")
    def _absolute_folder(self) -> Self:
        if not self.gpu_locks_dir.is_absolute():
            raise ValueError(
                f"AUTONL_GPU_LOCKS_DIR is {str(self.gpu_locks_dir)!r}; give a path from /, so that all workers of this "
                "host use the same folder"
            )
        return self

    def for_slots(self, slots: int) -> Self:
        """The same with this number of slots, between which the CPUs are divided unless that was set."""
        changed: dict[str, Any] = {"slots": slots}
        if "threads" not in self.model_fields_set:
            changed["threads"] = _share_of_a_slot(changed)
        return self.model_copy(update=changed)
