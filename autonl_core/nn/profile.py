"""A live network measured: its MACs, counted twice to check the analytic ones, and the time of its layers. Nothing here
looks at an `ArchSpec`.

`count_live_macs` watches every layer run and multiplies out the shapes that it sees. `count_torch_macs` asks PyTorch's
own counter, which sees every convolution and matrix product below them, whichever module calls it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, _FlopCounterMode

from autonl_core.host.compiler import load_no_compiler
from autonl_core.nn.blocks.conv import ConvNorm, FoldedConv, SqueezeExcite
from autonl_core.nn.blocks.light_nl import FoldedLightNL, LightNL, channels_first_is_cheaper
from autonl_core.nn.network import Network, evaluating
from autonl_core.spec.macs import MacsBreakdown

WARM_UP_PASSES, TIMED_PASSES = 3, 53
TIMED_S = 3.0  # slow networks get fewer passes
COUNTED = (ConvNorm, FoldedConv, SqueezeExcite, LightNL, FoldedLightNL, nn.Linear)

load_no_compiler(_FlopCounterMode)


def count_live_macs(network: Network, resolution: int) -> MacsBreakdown:
    """MACs of one forward pass of one image of `resolution` pixels, by the rule of `macs.py`."""
    counted = MacsBreakdown()

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted
        counted += count_layer(layer, inputs[0], output)
        if layer is network.head:
            counted += MacsBreakdown(head_pool=output.numel())

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, COUNTED)]
    try:
        _run(network, resolution)
    finally:
        for handle in hooks:
            handle.remove()
    return counted


def count_torch_macs(network: Network, resolution: int) -> int:
    """The same by PyTorch's counter: half its FLOPs. Poolings are no products, so it counts neither of them."""
    with FlopCounterMode(display=False) as counter:
        _run(network, resolution)
    return int(counter.get_total_flops()) // 2


def time_layers(network: Network, resolution: int, on_pass: Callable[[], None] = lambda: None) -> dict[str, float]:
    """Milliseconds of every layer for one image: medians over forward passes of the network as it would be used, fused.

    Keys are `stem`, `blocks.0`, `blocks.0.light_nl` (part of its block), ..., `head`, `classifier`. `on_pass` is called
    after every pass.
    """
    fused = network.fuse()
    layers: dict[str, nn.Module] = {"stem": fused.stem, "head": fused.head, "classifier": fused.classifier}
    for index, block in enumerate(fused.blocks):
        layers[f"blocks.{index}"] = block
        if isinstance(block.light_nl, nn.Module):
            layers[f"blocks.{index}.light_nl"] = block.light_nl
    passes: dict[str, list[float]] = {name: [] for name in layers}
    began: dict[str, float] = {}

    def start(name: str) -> None:
        _wait(network)
        began[name] = time.perf_counter()

    def stop(name: str) -> None:
        _wait(network)
        passes[name].append(1000 * (time.perf_counter() - began[name]))

    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda *_, name=name: start(name))
        layer.register_forward_hook(lambda *_, name=name: stop(name))
    first = time.perf_counter()
    for count in range(1, 1 + TIMED_PASSES):
        _run(fused, resolution)
        on_pass()
        if count > WARM_UP_PASSES + 3 and time.perf_counter() - first > TIMED_S:
            break
    return {name: statistics.median(times[WARM_UP_PASSES:]) for name, times in passes.items()}


def _wait(network: Network) -> None:
    """A GPU works on while the host goes on: wait for it."""
    device = next(network.parameters()).device
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)


def count_live_params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _run(network: Network, resolution: int) -> None:
    """One image through the network in evaluation mode."""
    parameter = next(network.parameters())
    image = torch.zeros(1, 3, resolution, resolution, device=parameter.device, dtype=parameter.dtype)
    with evaluating(network), torch.no_grad():
        network(image)


def count_layer(layer: nn.Module, x: Tensor, y: Tensor) -> MacsBreakdown:
    """MACs of one layer of the kinds COUNTED that made `y` of `x`, for the whole batch."""
    if isinstance(layer, ConvNorm | FoldedConv):
        return _count_conv(layer, y)
    if isinstance(layer, LightNL | FoldedLightNL):
        return _count_light_nl(layer, x, y)
    if isinstance(layer, SqueezeExcite):
        products = x.shape[0] * (layer.reduce.weight.numel() + layer.expand.weight.numel())
        return MacsBreakdown(conv=products, se_pool=x.numel())
    assert isinstance(layer, nn.Linear)
    return MacsBreakdown(linear=x.shape[0] * layer.weight.numel())


def _count_conv(layer: ConvNorm | FoldedConv, y: Tensor) -> MacsBreakdown:
    conv = layer.conv
    macs = y.numel() * conv.weight[0].numel()  # every output is a sum over one filter
    return MacsBreakdown(depthwise=macs) if conv.groups == conv.in_channels > 1 else MacsBreakdown(conv=macs)


def _count_light_nl(layer: LightNL | FoldedLightNL, x: Tensor, y: Tensor) -> MacsBreakdown:
    x_s = x[:, :, :: layer.nl_stride, :: layer.nl_stride]
    x_c, x_sc = x[:, : layer.compact_channels], x_s[:, : layer.compact_channels]
    if channels_first_is_cheaper(x, layer.compact_channels, layer.nl_stride):
        products = x_sc.numel() * x.shape[1] + x_c.numel() * x.shape[1]
    else:
        positions = x.shape[2] * x.shape[3]
        products = x_sc.numel() * positions + x_s.numel() * positions
    return MacsBreakdown(light_nl=products, depthwise=y.numel() * layer.depthwise.weight[0].numel())
