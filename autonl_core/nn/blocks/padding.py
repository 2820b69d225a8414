"""Where convolutions put their zeros: symmetrically, or as TensorFlow's SAME does."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.spec.arch import Padding
from autonl_core.spec.macs import out_size


class SameConv2d(nn.Conv2d):
    """A convolution with an odd square kernel that pads as TensorFlow's SAME. Its own `padding` is never used."""

    def forward(self, x: Tensor) -> Tensor:
        padded, margin = pad(x, self.kernel_size[0], self.stride[0], "same")
        return F.conv2d(padded, self.weight, self.bias, self.stride, margin, self.dilation, self.groups)


def padding_of(conv: nn.Conv2d) -> Padding:
    return "same" if isinstance(conv, SameConv2d) else "symmetric"


def same_margins(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros before the first and after the last of `size` rows (or columns), as TensorFlow's SAME has them."""
    total = max((out_size(size, stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def first_window(x: Tensor, kernel_size: int, stride: int, padding: Padding) -> tuple[int, int]:
    """How many rows above, and columns left of, the map (B, C, H, W) the first window begins."""
    if padding == "symmetric":
        return kernel_size // 2, kernel_size // 2
    height, width = (int(size) for size in x.shape[-2:])  # a tracer passes tensors
    return same_margins(height, kernel_size, stride)[0], same_margins(width, kernel_size, stride)[0]


def pad(x: Tensor, kernel_size: int, stride: int, padding: Padding) -> tuple[Tensor, int]:
    """The map, with those zeros that are unequal on two sides, and the margin left to add on each side.

    (B, C, H, W) -> (B, C, H, W) or more. `kernel_size` is odd. The map is copied only where padding is unequal.
    """
    margin = kernel_size // 2
    if padding == "symmetric" or stride == 1:
        return x, margin
    height, width = (int(size) for size in x.shape[-2:])  # a tracer passes tensors
    rows, columns = same_margins(height, kernel_size, stride), same_margins(width, kernel_size, stride)
    if rows == columns == (margin, margin):
        return x, margin
    return F.pad(x, (*columns, *rows)), 0
