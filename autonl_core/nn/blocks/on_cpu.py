"""When a tensor may go to a compiled kernel of `autonl_core/nn/kernels`, and as what."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def runs_kernels(x: Tensor) -> bool:
    """Whether kernels compute on `x`: on a CPU, in full precision, and while its operators are not traced."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def array_of(x: Tensor) -> NDArray[Any]:
    """The same memory as an array."""
    return x.detach().numpy()


def maps_as_array(x: Tensor) -> NDArray[Any]:
    """(B, C, H, W) -> (B, H, W, C): the same memory if `x` is channels_last, else a copy."""
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


def rows_as_array(x: Tensor) -> NDArray[Any]:
    """(B, C, H, W) -> (B H W, C): the same memory if `x` is channels_last, else a copy."""
    return maps_as_array(x).reshape(-1, x.shape[1])
