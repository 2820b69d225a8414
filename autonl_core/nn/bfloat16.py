"""Inference in bfloat16: what it needs of a processor, and how far a network in it is from the same in float32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autonl_core.errors import PrecisionError


def require_bfloat16(device: torch.device) -> None:
    """Raise PrecisionError on a CPU that has no instructions for bfloat16: it would convert every number, slowly."""
    if device.type != "cpu" or any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("bf16")):
        return
    raise PrecisionError(
        "this processor has no instructions for bfloat16 (AVX-512 BF16, AMX or Arm BF16), so a network in it is slower "
        "than in float32: leave out dtype, or pass force=True to have it nevertheless"
    )


class Parity(NamedTuple):
    """How much two networks agree on the same images."""

    same_class: float  # share of the images
    logit_difference: float  # the largest, absolute


@torch.inference_mode()
def compare(one: nn.Module, other: nn.Module, batches: Iterable[Tensor]) -> Parity:
    """Parity of two networks on batches (B, 3, R, R), at least one image in all."""
    images, same, largest = 0, 0, 0.0
    for x in batches:
        first, second = one(x), other(x)  # (B, classes)
        images += len(x)
        same += int((first.argmax(1) == second.argmax(1)).sum())
        largest = max(largest, float((first - second).abs().max()))
    return Parity(same / images, largest)
