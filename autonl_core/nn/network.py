"""`build_network(arch)`: from an architecture to a trainable module."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from autonl_core.errors import PrecisionError
from autonl_core.nn.bfloat16 import require_bfloat16
from autonl_core.nn.blocks.activation import activate
from autonl_core.nn.blocks.conv import ConvNorm, SqueezeExcite
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import out_size

# Larger maps leave the cache, and above 32 MiB glibc takes them from the kernel and hands them back, page by page.
_MAX_MAP_BYTES = 20 * 2**20

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Network(nn.Module):
    """Stem, blocks, head, global average pooling, classifier."""

    def __init__(self, arch: ArchSpec, dropout: float = 0.0) -> None:
        super().__init__()
        self.arch = arch
        self.fused = self.fixed_statistics = False
        self.map_dtype: torch.dtype | None = None  # of everything before the classifier, if not that of its weights
        act, padding = arch.activation, arch.padding
        self.stem = ConvNorm(3, arch.stem_channels, 3, stride=arch.stem_stride, activation=act, padding=padding)
        self.blocks = nn.ModuleList(MBConv(spec, padding) for spec in arch.blocks)
        self.head = ConvNorm(arch.blocks[-1].out_channels, arch.head_channels, 1, activation=act)
        self.hidden = nn.Linear(arch.head_channels, arch.hidden_channels) if arch.hidden_channels else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(arch.feature_channels, arch.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, R, R) -> logits (B, classes).

        Without gradients, layers work in place: a hook that keeps what a layer puts out has to clone it.
        """
        x = x if self.map_dtype is None else x.to(self.map_dtype)
        layers, count = [self.stem, *self.blocks], 0
        if len(x) > 1 and x.device.type == "cpu" and self._may_run_in_parts():
            count, parts = self._layers_of_large_maps(x)
            x = torch.cat([_run(layers[:count], part) for part in x.chunk(parts)]) if count else x
        x = _run(layers[count:], x)
        x = self.head(x).mean((2, 3), dtype=self.map_dtype and torch.float32)  # (B, head_channels)
        if self.hidden is not None:
            x = activate(self.hidden(x), self.arch.activation)  # (B, hidden_channels)
        return self.classifier(self.dropout(x))

    def train_with(self, stochastic_depth: float, bn_momentum: float, *, fixed_statistics: bool = False) -> None:
        """Set what is of no effect at inference: how often the last block is skipped, and how quick batch norms are.

        Of n blocks, the i-th, counted from 0, is skipped with a chance of `stochastic_depth` i / n. With
        `fixed_statistics`, batch norms normalise by their running statistics in training too, and do not move them.
        """
        self.fixed_statistics = fixed_statistics
        for index, block in enumerate(self.blocks):
            assert isinstance(block, MBConv)
            block.skip_chance = stochastic_depth * index / len(self.blocks)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = bn_momentum

    def train(self, mode: bool = True) -> Self:
        """As of any module, but batch norms of fixed statistics stay in evaluation mode."""
        super().train(mode)
        if mode and self.fixed_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def _may_run_in_parts(self) -> bool:
        """Not while batch norms must see the whole batch, nor while hooks, which expect to, look on."""
        if self.training or torch.is_grad_enabled():
            return False
        return not any(
            m._forward_hooks or m._forward_pre_hooks or (isinstance(m, nn.BatchNorm2d) and m.training)  # noqa: SLF001
            for m in self.modules()
        )

    def _layers_of_large_maps(self, x: Tensor) -> tuple[int, int]:
        """How many of the first layers make maps so large that parts of the batch are faster; how many parts."""
        size = out_size(max(x.shape[2:]), self.arch.stem_stride)
        bytes_of_layers = [self.arch.stem_channels * size**2 * x.element_size()]
        for block in self.arch.blocks:
            bytes_of_layers.append(block.expanded_channels * size**2 * x.element_size())
            size = out_size(size, block.stride)
        large = [i for i, of_one in enumerate(bytes_of_layers, start=1) if x.shape[0] * of_one > _MAX_MAP_BYTES]
        images = max(1, _MAX_MAP_BYTES // max(bytes_of_layers))  # in one part
        return (large[-1], math.ceil(x.shape[0] / images)) if large else (0, 1)

    def fuse(self, dtype: torch.dtype | None = None, *, force: bool = False) -> Network:
        """A copy for inference: every batch norm is folded into its convolution, so it never runs. Cannot be trained.

        Outputs agree with those of `eval()` to rounding error. In float32 on a CPU, without gradients and untraced,
        most layers run as compiled kernels, which keep a second copy of their weights. The first such pass of a
        machine compiles them, which takes about ten seconds, unless `make` or `python -m autonl_core.nn.kernels` did;
        later processes read them from a cache. Without Numba, or a folder for its cache, PyTorch's operators compute.

        dtype: torch.bfloat16 for weights and maps in it, by PyTorch's operators; classifier and logits stay float32.
        PrecisionError for any other, and on a CPU without instructions for it, unless `force`.
        """
        if dtype not in (None, torch.bfloat16):
            raise PrecisionError(f"a network is fused in its own precision or in torch.bfloat16, not in {dtype}")
        if dtype is not None and not force:
            require_bfloat16(self.classifier.weight.device)
        network = copy.deepcopy(self).eval()
        network.fused = True
        for parent in list(network.modules()):
            for name, layer in parent.named_children():
                if isinstance(layer, ConvNorm | LightNL | SqueezeExcite):
                    setattr(parent, name, layer.fold())
        if dtype is not None:
            network.map_dtype = dtype
            for part in (network.stem, network.blocks, network.head):
                part.to(dtype)
        return to_channels_last(network).requires_grad_(False)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, and afterwards in the mode that it was in."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def _run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def build_network(arch: ArchSpec, *, seed: int | None = None, dropout: float = 0.0) -> Network:
    """A freshly initialised network in channels_last layout, reproducible when `seed` is given.

    Any resolution works at run time; `arch.resolution` is the one its MACs are stated for.
    """
    network = Network(arch, dropout)
    init_weights(network, torch.Generator().manual_seed(seed) if seed is not None else None)
    return to_channels_last(network)


def to_channels_last(module: AnyModule) -> AnyModule:
    """`module` with its kernels in channels_last layout: two to five times faster in depthwise convolutions on CPU."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stub
    return module


def init_weights(module: nn.Module, generator: torch.Generator | None) -> None:
    """Variance 2/fan-out for convolutions, .01 for the classifier; batch-norm scales keep their own start."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / fan_out), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.01, generator=generator)
            nn.init.zeros_(layer.bias)
