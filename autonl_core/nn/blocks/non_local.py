"""The classic non-local block (Wang et al., CVPR 2018), which LightNL is a light version of. For comparison only.

    y = softmax(theta(x) phi(x)^T) g(x)   or, without softmax,   theta(x) phi(x)^T g(x) / N        z = x + BN(W_z y)

theta, phi, g and W_z are 1x1 convolutions; N = H * W. `macs.non_local_macs` counts it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonl_core.nn.blocks.conv import BN_EPS, BN_MOMENTUM
from autonl_core.nn.blocks.light_nl_function import maps_of, positions_last


class NonLocal(nn.Module):
    """Embedded Gaussian with `softmax`, dot product without. The BN's scale starts at 0: the identity to begin with."""

    def __init__(self, channels: int, inner_channels: int | None = None, *, softmax: bool = True) -> None:
        super().__init__()
        inner = inner_channels or channels
        self.softmax = softmax
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.w_z = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        theta, phi, g = (positions_last(layer(x)) for layer in (self.theta, self.phi, self.g))  # (B, HW, C_i) each
        affinity = torch.bmm(theta, phi.mT)  # (B, HW, C_i) x (B, C_i, HW) -> (B, HW, HW)
        affinity = affinity.softmax(dim=2) if self.softmax else affinity / (height * width)
        y = torch.bmm(affinity, g)  # (B, HW, HW) x (B, HW, C_i) -> (B, HW, C_i)
        return x + self.norm(self.w_z(maps_of(y, height, width)))
