"""The weight gradient of a depthwise convolution of channels_last maps, for which oneDNN is fast up to 3x3 only."""

from __future__ import annotations

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from autonl_core.nn.kernels.compiled import Compiled, all_threads, inner, pointer, share

Array = NDArray[np.float32]


@inner
def _add_row(x: Array, out_grad: Array, stride: int, weight_grad: Array) -> None:
    """Add what one row of positions says about one row of the kernel: four positions at a time, for all channels.

    x: (W + k - 1, C), padded; out_grad: (W', C); weight_grad: (k, C).
    """
    width, channels = out_grad.shape
    for column in range(len(weight_grad)):
        total = weight_grad[column]
        at = 0
        while at + 4 <= width:
            g0, g1, g2, g3 = out_grad[at], out_grad[at + 1], out_grad[at + 2], out_grad[at + 3]
            first = at * stride + column
            x0, x1, x2, x3 = x[first], x[first + stride], x[first + 2 * stride], x[first + 3 * stride]
            for c in range(channels):
                total[c] += g0[c] * x0[c] + g1[c] * x1[c] + g2[c] * x2[c] + g3[c] * x3[c]
            at += 4
        while at < width:
            g0, x0 = out_grad[at], x[at * stride + column]
            for c in range(channels):
                total[c] += g0[c] * x0[c]
            at += 1


def _weight_gradient(
    thread: int,
    threads: int,
    x_at: int,
    out_grad_at: int,
    weight_grad_at: int,
    sums_at: int,
    x_shape: tuple[int, int, int, int],
    out_shape: tuple[int, int, int, int],
    size: int,
    stride: int,
    images: int,
    one: float,
) -> None:
    """x: (B, H, W, C); out_grad: (B, H', W', C); weight_grad: (k, k, C). `images`: summed at a time.

    `sums`, (chunks, k, k, C), is scratch memory. The type of all of them is that of `one`.
    """
    x, out_grad = carray(pointer(x_at, one), x_shape), carray(pointer(out_grad_at, one), out_shape)
    batch, height, width, channels = x_shape
    margin = size // 2
    chunks = (batch + images - 1) // images
    sums = carray(pointer(sums_at, one), (chunks, size, size, channels))
    padded = np.zeros((height, width + 2 * margin, channels), x.dtype)
    first, last = share(thread, threads, chunks)
    for part in range(first, last):
        sums[part] = 0
        for image in range(part * images, min(batch, (part + 1) * images)):
            padded[:, margin : margin + width] = x[image]
            for row in range(out_shape[1]):
                for line in range(size):
                    at = row * stride + line - margin
                    if 0 <= at < height:
                        _add_row(padded[at], out_grad[image, row], stride, sums[part, line])
    all_threads(threads)
    weight_grad = carray(pointer(weight_grad_at, one), (size, size, channels))
    first, last = share(thread, threads, size)
    weight_grad[first:last] = 0
    for part in range(chunks):
        weight_grad[first:last] += sums[part, first:last]


weight_gradient = Compiled(_weight_gradient)
