"""One position of the supernet: the weights of its largest option, shared by all of its options."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from autonl_core.nn.blocks.activation import activate
from autonl_core.nn.blocks.batch_norm import normalise_batch
from autonl_core.nn.blocks.conv import SqueezeExcite, pointwise
from autonl_core.nn.blocks.depthwise import depthwise_conv
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.blocks.light_nl_function import maps_of, positions_last
from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.spec.arch import Activation, BlockSpec, Padding
from autonl_core.spec.gate_kinds import expansion_gates
from autonl_core.spec.search_space import BlockChoices, Option

Gates = dict[str, Tensor]  # one scalar per gate that a position has; an absent name is always open
Observer = Callable[[str, Tensor], None]  # gets the name of a gate, and the part of the affinity that it guards


class SuperBlock(nn.Module):
    """One position of the supernet; holds the weights of its largest option."""

    def __init__(self, choices: BlockChoices, padding: Padding = "symmetric") -> None:
        super().__init__()
        self.choices, self.padding = choices, padding
        gates = expansion_gates(choices).items()
        self.widths = {name: slice(*(choices.in_channels * ratio for ratio in ratios)) for name, ratios in gates}
        self.small_kernel = choices.kernel_sizes[0]
        self.block = MBConv(_largest(choices), padding)
        kernel = choices.kernel_sizes[-1]
        core = torch.zeros(kernel, kernel)
        margin = (kernel - self.small_kernel) // 2
        core[margin : kernel - margin, margin : kernel - margin] = 1
        self.core: Tensor  # 1 inside the small kernel, 0 on the ring
        self.register_buffer("core", core, persistent=False)

    def forward_gated(self, x: Tensor, gates: Gates, observe: Observer | None = None) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H', W') with gates folded into the weights; `observe` sees the affinities."""
        block = self.block
        one = x.new_ones(())
        act, present = self.choices.activation, gates.get("present", one)
        h = (
            x
            if block.expand is None
            else batch_norm(pointwise(x, block.expand.conv.weight), block.expand.norm, activation=act)
        )
        kernel = block.depthwise.conv.weight
        if "kernel" in gates:
            kernel = kernel * (self.core + gates["kernel"] * (1 - self.core))
        h = depthwise_conv(h, kernel, block.depthwise.conv.stride[0], self.padding)
        h = batch_norm(h, block.depthwise.norm, activation=act)
        widths = self._width_gate(gates) if self.widths.keys() & gates else None  # (1, E, 1, 1)
        if block.squeeze_excite is not None:
            h = _squeeze_excite(h, block.squeeze_excite, h.shape[1], widths)
        projection = block.project.conv.weight if widths is None else block.project.conv.weight * widths
        z = batch_norm(pointwise(h, projection), block.project.norm, scale=present if "present" in gates else None)
        if block.light_nl is not None:
            y = self._gated_product(z, block.light_nl, gates, observe)
            insert = gates.get("light_nl", one) * present
            z = z + batch_norm(depthwise_conv(y, block.light_nl.depthwise.weight, 1), block.light_nl.norm, scale=insert)
        return x + z if block.residual else z

    def forward_option(self, x: Tensor, option: Option) -> Tensor:
        """The same for one option, computing nothing it does not have."""
        if option is None:
            return x
        block, expanded, act = self.block, option.expanded_channels, option.activation
        h = x
        if block.expand is not None:
            h = batch_norm(pointwise(x, block.expand.conv.weight[:expanded]), block.expand.norm, activation=act)
        kernel = self.crop_kernel(block.depthwise.conv.weight[:expanded], option.kernel_size)
        h = depthwise_conv(h, kernel, option.stride, self.padding)
        h = batch_norm(h, block.depthwise.norm, activation=act)
        if block.squeeze_excite is not None:
            h = _squeeze_excite(h, block.squeeze_excite, expanded, None)
        z = batch_norm(pointwise(h, block.project.conv.weight[:, :expanded]), block.project.norm)
        if option.light_nl is not None and block.light_nl is not None:
            compact = int(option.light_nl.nl_ratio * option.out_channels)
            z = block.light_nl.forward_in_batch(z, compact, option.light_nl.nl_stride, track=False)
        return x + z if option.residual else z

    def crop_kernel(self, kernel: Tensor, kernel_size: int) -> Tensor:
        """The centre of a depthwise kernel."""
        margin = (kernel.shape[-1] - kernel_size) // 2
        return kernel if margin == 0 else kernel[:, :, margin:-margin, margin:-margin]

    def _width_gate(self, gates: Gates) -> Tensor:
        """1 on the channels of the smallest expansion; on those above it, the gates that open them: (1, E, 1, 1)."""
        widths = self.block.project.conv.weight.new_ones(1, self.block.project.conv.in_channels, 1, 1)
        channels = torch.arange(widths.shape[1], device=widths.device).view(1, -1, 1, 1)
        for name, added in self.widths.items():  # an expansion needs all gates below its own
            widths = torch.where(channels >= added.start, gates.get(name, 1.0) * widths, widths)
        return widths

    def _gated_product(self, z: Tensor, light_nl: LightNL, gates: Gates, observe: Observer | None) -> Tensor:
        """LightNL's y with the gates inside the affinity: order 2, so that gates touch a (B, C', C) tensor only.

        Stride: positions off the coarse grid are weighted by the gate, on it by 1. Ratio: rows of the second half of
        the C' compact channels are multiplied by the gate.
        """
        channels, height, width = z.shape[1:]
        full = positions_last(z)  # (B, HW, C)
        large, stride = light_nl.compact_channels, self.choices.nl_strides[0]
        small = int(self.choices.nl_ratios[0] * channels)
        affinity = torch.bmm(full[:, :, :large].transpose(1, 2), full)  # (B, C', HW) x (B, HW, C) -> (B, C', C)
        if "nl_stride" in gates:
            coarse = positions_last(z[:, :, ::stride, ::stride])  # (B, r, C)
            coarse_affinity = torch.bmm(coarse[:, :, :large].transpose(1, 2), coarse)  # (B, C', C)
            added = affinity - coarse_affinity
            if observe is not None:
                observe("nl_stride", added.detach() / (height * width))
            affinity = torch.addcmul(coarse_affinity, added, gates["nl_stride"])
        if "nl_ratio" in gates:
            if observe is not None:
                observe("nl_ratio", affinity[:, small:].detach() / (height * width))
            rows = affinity.new_ones(large)
            rows = torch.where(torch.arange(large, device=z.device) >= small, gates["nl_ratio"] * rows, rows)
            affinity = affinity * rows.view(1, -1, 1)
        y = torch.bmm(full[:, :, :large], affinity / (height * width))  # (B, HW, C') x (B, C', C) -> (B, HW, C)
        return maps_of(y, height, width)


def _largest(choices: BlockChoices) -> BlockSpec:
    option = choices.options()[-1]
    assert option is not None
    return option


def batch_norm(
    x: Tensor, norm: nn.BatchNorm2d, scale: Tensor | None = None, *, activation: Activation | None = None
) -> Tensor:
    """Batch statistics, the first C channels of the norm's parameters, both multiplied by `scale` (a gate)."""
    channels = x.shape[1]
    weight, bias = norm.weight[:channels], norm.bias[:channels]
    if scale is not None:
        weight, bias = weight * scale, bias * scale
    return normalise_batch(x, weight, bias, norm.eps, activation)


def _squeeze_excite(h: Tensor, layer: SqueezeExcite, channels: int, widths: Tensor | None) -> Tensor:
    """Squeeze-excite over the first `channels`, its inputs weighted by the width gate (1, E, 1, 1)."""
    reduce = layer.reduce.weight[:, :channels] if widths is None else layer.reduce.weight * widths
    s = activate(pointwise(h.mean((2, 3), keepdim=True), reduce, layer.reduce.bias), layer.activation)
    assert layer.expand.bias is not None
    s = pointwise(s, layer.expand.weight[:channels], layer.expand.bias[:channels])
    return h * torch.sigmoid(s)


@torch.no_grad()
def copy_option(source: SuperBlock, option: BlockSpec, target: MBConv) -> None:
    """Copy the slices of `source` that `option` uses; the counterpart of `forward_option`."""
    block, expanded = source.block, option.expanded_channels
    if block.expand is not None and target.expand is not None:
        target.expand.conv.weight.copy_(block.expand.conv.weight[:expanded])
        copy_norm(block.expand.norm, target.expand.norm)
    target.depthwise.conv.weight.copy_(source.crop_kernel(block.depthwise.conv.weight[:expanded], option.kernel_size))
    copy_norm(block.depthwise.norm, target.depthwise.norm)
    if block.squeeze_excite is not None and target.squeeze_excite is not None:
        _copy_squeeze_excite(block.squeeze_excite, target.squeeze_excite, expanded)
    target.project.conv.weight.copy_(block.project.conv.weight[:, :expanded])
    copy_norm(block.project.norm, target.project.norm)
    if block.light_nl is not None and target.light_nl is not None:
        target.light_nl.depthwise.weight.copy_(block.light_nl.depthwise.weight)
        copy_norm(block.light_nl.norm, target.light_nl.norm)


@torch.no_grad()
def copy_norm(source: nn.BatchNorm2d, target: nn.BatchNorm2d) -> None:
    """Copy as many channels as both have, with the statistics of the network that the supernet started from, if any."""
    channels = min(source.num_features, target.num_features)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(target, name)[:channels] = getattr(source, name)[:channels]
    assert target.num_batches_tracked is not None
    assert source.num_batches_tracked is not None
    target.num_batches_tracked.copy_(source.num_batches_tracked)


def _copy_squeeze_excite(source: SqueezeExcite, target: SqueezeExcite, channels: int) -> None:
    target.reduce.load_state_dict(source.reduce.state_dict() | {"weight": source.reduce.weight.detach()[:, :channels]})
    target.expand.load_state_dict({key: value[:channels] for key, value in source.expand.state_dict().items()})
