"""The lightweight non-local block (AutoNL, CVPR 2020, section 3.1).

    y = x_c x_sc^T x_s / (H W)        z = x + BN(DWConv3x3(y))

x_c: the first C' channels at all positions; x_s: all channels at every s-th row and column; x_sc: both. There is no
softmax, so the product is associative and the cheaper order is taken: the same one `macs.light_nl_macs` counts.

Maps are channels_last, so (B, HW, C) is a view of them and both products are batched matrix products without a copy.
The training pass has a backward pass of its own, see `light_nl_function.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from autonl_core.nn.blocks.batch_norm import running_statistics
from autonl_core.nn.blocks.conv import BN_EPS, BN_MOMENTUM, convolve, normalise
from autonl_core.nn.blocks.depthwise import depthwise_conv
from autonl_core.nn.blocks.inference import FastPath, kernel_of
from autonl_core.nn.blocks.light_nl_function import (
    NormalisedProduct,
    Settings,
    maps_of,
    positions_last,
    sample_positions,
    scaled_bmm,
)
from autonl_core.nn.blocks.shared_statistics import normalise_by_all, shares_statistics
from autonl_core.spec.arch import Divisor, LightNLSpec


def light_nl_product(x: Tensor, compact_channels: int, nl_stride: int, divisor: float) -> Tensor:
    """y of the equation above, (B, C, H, W) -> (B, C, H, W), in the cheaper of the two contraction orders."""
    height, width = x.shape[2:]
    full = positions_last(x)  # (B, HW, C)
    sampled = full if nl_stride == 1 else sample_positions(x, nl_stride)  # (B, r, C)
    x_c, x_sc = full[:, :, :compact_channels], sampled[:, :, :compact_channels]  # (B, HW, C'), (B, r, C')
    if channels_first_is_cheaper(x, compact_channels, nl_stride):
        affinity = scaled_bmm(x_sc.mT, sampled, 1 / divisor)  # (B, C', r) x (B, r, C) -> (B, C', C)
        y = torch.bmm(x_c, affinity)  # (B, HW, C') x (B, C', C) -> (B, HW, C)
    else:
        affinity = scaled_bmm(x_c, x_sc.mT, 1 / divisor)  # (B, HW, C') x (B, C', r) -> (B, HW, r)
        y = torch.bmm(affinity, sampled)  # (B, HW, r) x (B, r, C) -> (B, HW, C)
    return maps_of(y, height, width)


def divisor_of(x: Tensor, rule: Divisor) -> float:
    """By what the product on `x` is divided."""
    height, width = x.shape[2:]
    return height / width if rule == "aspect" else height * width


def channels_first_is_cheaper(x: Tensor, compact_channels: int, nl_stride: int) -> bool:
    """Whether order 2, affinity between channels, takes fewer MACs than order 1, affinity between positions."""
    _, channels, height, width = x.shape
    positions, sampled = height * width, -(-height // nl_stride) * -(-width // nl_stride)
    order1 = positions * sampled * (compact_channels + channels)
    return (positions + sampled) * channels * compact_channels <= order1


class LightNL(nn.Module):
    """z = x + BN(DWConv3x3(y)). The BN's scale starts at 0, so the block starts as the identity."""

    def __init__(self, channels: int, spec: LightNLSpec) -> None:
        super().__init__()
        self.compact_channels = int(spec.nl_ratio * channels)
        self.nl_stride = spec.nl_stride
        self.divisor = spec.divisor
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.norm.training and type(self.norm) is nn.BatchNorm2d:  # not one that speaks to other processes
            return self.forward_in_batch(x, self.compact_channels, self.nl_stride, track=True)
        y = light_nl_product(x, self.compact_channels, self.nl_stride, divisor_of(x, self.divisor))
        z = convolve(y, self.depthwise, self.depthwise.weight, None)
        z = self.norm(z) if self.norm.training else normalise(z, self.norm)
        return x + z if torch.is_grad_enabled() else z.add_(x)

    def forward_in_batch(self, x: Tensor, compact_channels: int, nl_stride: int, *, track: bool) -> Tensor:
        """The block at any ratio and stride, normalised by the batch; `track` moves the running statistics too."""
        norm, divisor = self.norm, divisor_of(x, self.divisor)
        mean, variance, momentum = running_statistics(norm) if track else (None, None, 0.0)
        if channels_first_is_cheaper(x, compact_channels, nl_stride) and not shares_statistics():
            kernel, settings = self.depthwise.weight, Settings(compact_channels, nl_stride, divisor, norm.eps)
            kind = x.device.type
            if not torch.is_autocast_enabled(kind):
                return NormalisedProduct.apply(x, kernel, norm.weight, norm.bias, mean, variance, momentum, settings)
            x, kernel = (given.to(torch.get_autocast_dtype(kind)) for given in (x, kernel))
            with torch.autocast(kind, enabled=False):  # its own backward pass knows of no casts in between
                return NormalisedProduct.apply(x, kernel, norm.weight, norm.bias, mean, variance, momentum, settings)
        y = depthwise_conv(light_nl_product(x, compact_channels, nl_stride, divisor), self.depthwise.weight, 1)
        if shares_statistics():
            return x + normalise_by_all(y, norm.weight, norm.bias, mean, variance, momentum, norm.eps)
        return x + F.batch_norm(y, mean, variance, norm.weight, norm.bias, True, momentum, norm.eps)

    def fold(self) -> FoldedLightNL:
        """The same at inference, with the batch norm's running statistics folded into the convolution."""
        return FoldedLightNL(self)


class FoldedLightNL(nn.Module):
    """z = x + DWConv3x3(y) + bias: a trained LightNL, for inference."""

    def __init__(self, trained: LightNL) -> None:
        super().__init__()
        self.compact_channels, self.nl_stride = trained.compact_channels, trained.nl_stride
        self.divisor = trained.divisor
        self.depthwise = fuse_conv_bn_eval(trained.depthwise, trained.norm)
        self._fast = FastPath()

    def forward(self, x: Tensor) -> Tensor:
        y = light_nl_product(x, self.compact_channels, self.nl_stride, divisor_of(x, self.divisor))
        z = self._convolve(y)
        return x + z if torch.is_grad_enabled() else z.add_(x)

    def _convolve(self, y: Tensor) -> Tensor:
        conv = self.depthwise
        assert conv.bias is not None
        found = self._fast.run(y, (conv.weight, conv.bias), lambda: kernel_of(conv, None))
        return conv(y) if found is None else found
