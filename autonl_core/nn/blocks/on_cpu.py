"""When a tensor may go to a compiled kernel of `autonl_core/nn/kernels`, and as what."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def runs_kernels(x: Tensor) -> bool:
    """Whether kernels compute on `x`: on a CPU, in full precision, and while its operators are not traced."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def as_rows(x: Tensor) -> Tensor:
    """(B, C, H, W) in the memory order of kernels, (B, H, W, C): `x` itself if it is channels_last, else a copy."""
    return x.detach().contiguous(memory_format=torch.channels_last)


def number_like(x: Tensor) -> np.floating[Any]:
    """1, in the type of x: what tells a kernel that of the memory it is given."""
    return np.float32(1) if x.dtype == torch.float32 else np.float64(1)
