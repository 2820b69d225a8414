"""The lightweight non-local block (AutoNL, CVPR 2020, section 3.1).

    y = x_c x_sc^T x_s / (H W)        z = x + BN(DWConv3x3(y))

x_c: the first C' channels at all positions; x_s: all channels at every s-th row and column; x_sc: both. There is no
softmax, so the product is associative and the cheaper order is taken: the same one `macs.light_nl_macs` counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonl_core.arch import LightNLSpec
from autonl_core.blocks.conv import BN_EPS, BN_MOMENTUM


def positions_last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, HW, C): a view when `x` is channels_last."""
    batch, channels, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)


def light_nl_product(x: Tensor, compact_channels: int, nl_stride: int) -> Tensor:
    """y of the equation above, (B, C, H, W) -> (B, C, H, W), in the cheaper of the two contraction orders."""
    batch, channels, height, width = x.shape
    full = positions_last(x)  # (B, HW, C)
    sampled = full if nl_stride == 1 else positions_last(x[:, :, ::nl_stride, ::nl_stride])  # (B, r, C)
    x_c, x_sc = full[:, :, :compact_channels], sampled[:, :, :compact_channels]  # (B, HW, C'), (B, r, C')
    positions, r = full.shape[1], sampled.shape[1]
    channels_first = (positions + r) * channels * compact_channels <= positions * r * (compact_channels + channels)
    if channels_first:
        affinity = torch.bmm(x_sc.transpose(1, 2), sampled) / positions  # (B, C', r) x (B, r, C) -> (B, C', C)
        y = torch.bmm(x_c, affinity)  # (B, HW, C') x (B, C', C) -> (B, HW, C)
    else:
        affinity = torch.bmm(x_c, x_sc.transpose(1, 2)) / positions  # (B, HW, C') x (B, C', r) -> (B, HW, r)
        y = torch.bmm(affinity, sampled)  # (B, HW, r) x (B, r, C) -> (B, HW, C)
    return y.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class LightNL(nn.Module):
    """z = x + BN(DWConv3x3(y)). The BN's scale starts at 0, so the block starts as the identity."""

    def __init__(self, channels: int, spec: LightNLSpec) -> None:
        super().__init__()
        self.compact_channels = int(spec.nl_ratio * channels)
        self.nl_stride = spec.nl_stride
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = light_nl_product(x, self.compact_channels, self.nl_stride)
        return x + self.norm(self.depthwise(y))
