"""Activations and gates by name, and the numbers that kernels know them by."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from autonl_core.nn.kernels import HARD_SIGMOID, HARD_SWISH, PLAIN, RELU, RELU6, SIGMOID, SWISH
from autonl_core.spec.arch import Activation, SeGate

ACTIVATIONS: dict[Activation, Callable[[Tensor, bool], Tensor]] = {
    "swish": F.silu,
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_swish": F.hardswish,
}
SE_GATES: dict[SeGate, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "hard_sigmoid": F.hardsigmoid}
ACTIVATION_KINDS: dict[Activation | None, int] = {
    None: PLAIN,
    "swish": SWISH,
    "relu": RELU,
    "relu6": RELU6,
    "hard_swish": HARD_SWISH,
}
SE_GATE_KINDS: dict[SeGate, int] = {"sigmoid": SIGMOID, "hard_sigmoid": HARD_SIGMOID}


def activate(x: Tensor, activation: Activation | None) -> Tensor:
    """`activation` of a map that only its maker holds: in place where no gradient will ask for it again."""
    return x if activation is None else ACTIVATIONS[activation](x, not torch.is_grad_enabled())
