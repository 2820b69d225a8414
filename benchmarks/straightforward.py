"""The same networks in their most direct formulation: the baseline that `autonl_core` has to beat.

Feature maps stay (B, C, H, W) in memory; LightNL is four einsums, two for each order of contraction; Swish is
`x * sigmoid(x)`. Modules and parameters have the same names as in `autonl_core`, so one state dict fits both.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.nn.blocks.conv import BN_EPS, BN_MOMENTUM
from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class PlainLightNL(nn.Module):
    """z = x + BN(DWConv3x3(x_c x_sc^T x_s / H / W)), by einsums, scaled at the end, as in public implementations."""

    def __init__(self, channels: int, spec: LightNLSpec) -> None:
        super().__init__()
        self.compact, self.stride = int(spec.nl_ratio * channels), spec.nl_stride
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        x_s = x[:, :, :: self.stride, :: self.stride]
        x_c, x_sc = x[:, : self.compact], x_s[:, : self.compact]
        positions, sampled = height * width, x_s.shape[2] * x_s.shape[3]
        if positions * sampled * (channels + self.compact) < (positions + sampled) * channels * self.compact:
            affinity = torch.einsum("bchw,bcij->bhwij", x_c, x_sc)
            y = torch.einsum("bhwij,bcij->bchw", affinity, x_s)
        else:
            affinity = torch.einsum("bkij,bcij->bkc", x_sc, x_s)
            y = torch.einsum("bkc,bkhw->bchw", affinity, x_c)
        return x + self.norm(self.depthwise(y / height / width))


def plain_conv_norm(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, Swish unless `act` is False."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
    layers = {"conv": conv, "norm": nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=BN_MOMENTUM)}
    return nn.Sequential(OrderedDict(layers | ({"act": Swish()} if act else {})))


class PlainSqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed_channels, 1)
        self.act = Swish()
        self.expand = nn.Conv2d(squeezed_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.expand(self.act(self.reduce(s)))) * x


class PlainMBConv(nn.Module):
    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        expanded = spec.expanded_channels
        self.residual = spec.residual
        self.expand = plain_conv_norm(spec.in_channels, expanded, 1) if spec.expand_ratio > 1 else nn.Identity()
        self.depthwise = plain_conv_norm(expanded, expanded, spec.kernel_size, spec.stride, expanded)
        self.squeeze_excite = PlainSqueezeExcite(expanded, spec.se_channels) if spec.se_channels else nn.Identity()
        self.project = plain_conv_norm(expanded, spec.out_channels, 1, act=False)
        self.light_nl = PlainLightNL(spec.out_channels, spec.light_nl) if spec.light_nl else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        z = self.light_nl(self.project(self.squeeze_excite(self.depthwise(self.expand(x)))))
        return x + z if self.residual else z


class PlainNetwork(nn.Module):
    """The whole network, with Swish activations and sigmoid gates, and a single linear classifier."""

    def __init__(self, arch: ArchSpec) -> None:
        super().__init__()
        self.stem = plain_conv_norm(3, arch.stem_channels, 3, arch.stem_stride)
        self.blocks = nn.Sequential(*(PlainMBConv(spec) for spec in arch.blocks))
        self.head = plain_conv_norm(arch.blocks[-1].out_channels, arch.head_channels, 1)
        self.classifier = nn.Linear(arch.head_channels, arch.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x)))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))
