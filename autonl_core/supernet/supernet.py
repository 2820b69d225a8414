"""The supernet: one set of weights, those of the largest network, shared by every network of a space.

It runs in two ways that agree to rounding error:

- `forward_gated(x, gates)` computes the largest network with every gate folded into a *weight* (the ring of a 5x5
  kernel, the second half of a projection's inputs, scales and shifts of a batch norm, rows and positions of LightNL's
  affinity), so it costs what the largest network costs and yields the derivative of the loss in every gate;
- `forward_choice(x, choice)` slices the weights of one network and runs just that, at its own price.

Batch norms always use the statistics of the batch: running averages over ever-changing networks mean nothing.
Architecture parameters live elsewhere (`algorithms/`); everything in here is an ordinary weight.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from autonl_core.nn.blocks.conv import ConvNorm
from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.nn.network import Network, build_network, init_weights, to_channels_last
from autonl_core.supernet.gates import Gate, GateTable
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.super_block import Gates, Observer, SuperBlock, batch_norm, copy_option

AffinityObserver = Callable[[Gate, Tensor], None]


class Supernet(nn.Module):
    """All positions of a space between a stem, a head and a classifier that every network shares."""

    def __init__(self, table: GateTable, *, seed: int) -> None:
        super().__init__()
        space = table.space
        self.table = table
        stride, padding = space.stem_stride, space.padding
        self.stem = ConvNorm(3, space.stem_channels, 3, stride=stride, activation=space.activation, padding=padding)
        self.blocks = nn.ModuleList(SuperBlock(choices, padding) for choices in space.blocks)
        self.head = ConvNorm(space.stages[-1].out_channels, space.head_channels, 1, activation=space.activation)
        self.classifier = nn.Linear(space.head_channels, space.num_classes)
        init_weights(self, torch.Generator().manual_seed(seed))
        for block in self.super_blocks():
            if block.block.light_nl is not None:  # open, unlike in a network: a warm-up from 0 would never be seen
                nn.init.constant_(block.block.light_nl.norm.weight, 0.1)
        to_channels_last(self)

    def super_blocks(self) -> list[SuperBlock]:
        return [block for block in self.blocks if isinstance(block, SuperBlock)]

    def forward_gated(self, x: Tensor, gates: Tensor, observe: AffinityObserver | None = None) -> Tensor:
        """(B, 3, R, R), (gates,) -> logits (B, classes). Differentiable in the gates.

        `observe` gets every gate of LightNL's affinity, and the part of the affinity that the gate guards.
        """
        values = dict(zip(self.table.gates, gates.unbind(), strict=True))
        x = self._stem(x)
        for position, block in enumerate(self.super_blocks()):
            seen = None if observe is None else _at(observe, position)
            x = block.forward_gated(x, _gates_at(values, position), seen)
        return self._head(x)

    def forward_choice(self, x: Tensor, choice: Choice) -> Tensor:
        """(B, 3, R, R) -> logits (B, classes) of one network."""
        x = self._stem(x)
        for block, options, index in zip(self.super_blocks(), self.table.options, choice, strict=True):
            x = block.forward_option(x, options[index])
        return self._head(x)

    def derive(self, choice: Choice) -> Network:
        """The network of `choice` as a module of its own, on the same device, with a copy of its share of the weights.

        Its batch norms have no statistics, or those of a network that the supernet started from: recalibrate before
        evaluating.
        """
        network = build_network(self.table.arch(choice)).to(self.classifier.weight.device)
        chosen = zip(self.super_blocks(), self.table.options, choice, strict=True)
        kept = [(block, options[index]) for block, options, index in chosen if options[index] is not None]
        network.stem.load_state_dict(self.stem.state_dict())
        network.head.load_state_dict(self.head.state_dict())
        network.classifier.load_state_dict(self.classifier.state_dict())
        for (block, option), target in zip(kept, network.blocks, strict=True):
            assert option is not None
            assert isinstance(target, MBConv)
            copy_option(block, option, target)
        return network

    def _stem(self, x: Tensor) -> Tensor:
        return batch_norm(self.stem.conv(x), self.stem.norm, activation=self.table.space.activation)

    def _head(self, x: Tensor) -> Tensor:
        x = batch_norm(self.head.conv(x), self.head.norm, activation=self.table.space.activation).mean((2, 3))
        return self.classifier(x)


def _gates_at(values: dict[Gate, Tensor], position: int) -> Gates:
    return {gate.name: value for gate, value in values.items() if gate.position == position}


def _at(observe: AffinityObserver, position: int) -> Observer:
    return lambda name, affinity: observe(Gate(position, name), affinity)
