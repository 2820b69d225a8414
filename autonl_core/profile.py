"""MACs counted on a live network, to check the analytic ones: nothing here looks at an `ArchSpec`.

PyTorch's own counter sees every convolution, matrix product and linear layer that is really executed, at the shapes it
really has (it counts two FLOPs per multiply-add). Poolings are not products; hooks add their C*H*W.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autonl_core.blocks.conv import SqueezeExcite
from autonl_core.network import Network


def count_live_macs(network: Network, resolution: int) -> int:
    """MACs of one forward pass of one image of `resolution` pixels, by the rule of `macs.py`."""
    pooled = 0

    def count_input(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal pooled
        pooled += inputs[0].numel()

    def count_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal pooled
        pooled += output.numel()

    hooks = [network.head.register_forward_hook(count_output)]
    hooks += [m.register_forward_hook(count_input) for m in network.modules() if isinstance(m, SqueezeExcite)]
    was_training = network.training
    network.eval()
    try:
        parameter = next(network.parameters())
        image = torch.zeros(1, 3, resolution, resolution, device=parameter.device, dtype=parameter.dtype)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(image)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return int(counter.get_total_flops()) // 2 + pooled


def count_live_params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
