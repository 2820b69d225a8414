"""The importance of channels: expanded ones are ordered by it, and a narrower head keeps the most important ones."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.nn.network import Network, build_network


def importance_of(block: MBConv) -> Tensor:
    """(E,): how much each expanded channel can add to what the block puts out.

    The sum of its projection weights' magnitudes, times the magnitude of the scale that the depthwise convolution's
    batch norm gives it.
    """
    weight = block.project.conv.weight.detach().abs().sum((0, 2, 3))
    return weight * block.depthwise.norm.weight.detach().abs()


@torch.no_grad()
def order_channels(network: Network) -> None:
    """Order the expanded channels of every block by importance, in place; the network computes what it did.

    Sums over channels are formed in another order, so logits change by rounding. Blocks that do not expand stay as they
    are: their channels are those of the block before.
    """
    for block in network.blocks:
        assert isinstance(block, MBConv)
        if block.expand is not None:
            _permute(block, torch.argsort(importance_of(block), descending=True, stable=True))


@torch.no_grad()
def with_narrower_head(network: Network, channels: int) -> Network:
    """A copy of the network with the most important `channels` of its head only, in the order that they have."""
    assert network.hidden is None
    importance = network.classifier.weight.abs().sum(0) * network.head.norm.weight.abs()  # (head_channels,)
    kept = torch.argsort(importance, descending=True, stable=True)[:channels].sort().values
    cut = dict(network.state_dict())
    cut |= {name: value[kept] for name, value in cut.items() if name.startswith("head.") and value.ndim}
    cut["classifier.weight"] = network.classifier.weight[:, kept]
    narrower = build_network(replace(network.arch, head_channels=channels)).train(network.training)
    narrower.load_state_dict(cut)
    return narrower.to(network.classifier.weight.device)


def _permute(block: MBConv, order: Tensor) -> None:
    """Give every layer of `block` its expanded channels in `order`, (E,)."""
    assert block.expand is not None
    outputs = [block.expand.conv.weight, block.depthwise.conv.weight]
    for norm in (block.expand.norm, block.depthwise.norm):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        outputs += [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    inputs = [block.project.conv.weight]
    if block.squeeze_excite is not None:
        assert block.squeeze_excite.expand.bias is not None
        outputs += [block.squeeze_excite.expand.weight, block.squeeze_excite.expand.bias]
        inputs += [block.squeeze_excite.reduce.weight]
    for tensor in outputs:
        tensor.copy_(tensor[order])
    for tensor in inputs:
        tensor.copy_(tensor[:, order])
