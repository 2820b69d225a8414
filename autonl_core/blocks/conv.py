"""Convolution with batch normalisation and Swish, and squeeze-excite."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BN_EPS = 1e-3  # of the published networks
BN_MOMENTUM = 0.1  # running statistics are recalibrated before every evaluation, so they may be quick


class ConvNorm(nn.Module):
    """A square convolution without bias, "same" padding, then batch normalisation; Swish if `activate`."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1, activate: bool
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.silu(x) if self.activate else x


class SqueezeExcite(nn.Module):
    """Scale channels by a sigmoid computed from their means (Hu et al., 2018), with Swish between the two layers."""

    def __init__(self, channels: int, squeezed_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed_channels, 1)
        self.expand = nn.Conv2d(squeezed_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        s = self.expand(F.silu(self.reduce(s)))
        return x * torch.sigmoid(s)
