"""In which precision training computes: see `precision` in `spec/config.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from autonl_core.spec.config_sections import Precision


@contextmanager
def in_full_precision() -> Iterator[None]:
    """Convolutions on a GPU as exact as on a CPU: by default they are computed in TF32, of 10 bits after the point.

    For a score that another process has to confirm on a CPU; in training it would cost time for nothing.
    """
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def float32_as(precision: Precision) -> AbstractContextManager[None]:
    """How float32 is computed: rounded to TF32 where the device does that, unless `precision` is fp32."""
    return in_full_precision() if precision == "fp32" else nullcontext()


def forward_in(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """For a forward pass and its loss: with bf16, convolutions and products of matrices are computed in it.

    Weights, their gradients and the optimiser stay float32. A backward pass belongs outside.
    """
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
