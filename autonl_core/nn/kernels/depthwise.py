"""The weight gradient of a depthwise convolution of channels_last maps, for which oneDNN is fast up to 3x3 only."""

from __future__ import annotations

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from autonl_core.nn.kernels.compiled import ONE, Compiled, all_threads, arguments, inner, pointer, share

Array = NDArray[np.float32]
WEIGHT_GRADIENT = arguments("x out_grad weight_grad sums batch height width channels size stride images")


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


def _weight_gradient(at: int) -> None:
    """x: (B, H, W, C); out_grad: (B, H', W', C); weight_grad: (k, k, C). `images`: summed at a time.

    `sums`, (chunks, k, k, C), is scratch memory.
    """
    given = carray(pointer(at, WEIGHT_GRADIENT), (1,))[0]
    batch, height, width, channels = given.batch, given.height, given.width, given.channels
    size, stride, images = given.size, given.stride, given.images
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    x = carray(pointer(given.x, ONE), (batch, height, width, channels))
    out_grad = carray(pointer(given.out_grad, ONE), (batch, rows, columns, channels))
    margin = size // 2
    chunks = (batch + images - 1) // images
    sums = carray(pointer(given.sums, ONE), (chunks, size, size, channels))
    padded = np.zeros((height, width + 2 * margin, channels), x.dtype)
    first, last = share(chunks)
    for part in range(first, last):
        sums[part] = 0
        for image in range(part * images, min(batch, (part + 1) * images)):
            padded[:, margin : margin + width] = x[image]
            for row in range(rows):
                for line in range(size):
                    above = row * stride + line - margin
                    if 0 <= above < height:
                        _add_row(padded[above], out_grad[image, row], stride, sums[part, line])
    all_threads()
    weight_grad = carray(pointer(given.weight_grad, ONE), (size, size, channels))
    first, last = share(size)
    weight_grad[first:last] = 0
    for part in range(chunks):
        weight_grad[first:last] += sums[part, first:last]


weight_gradient = Compiled(_weight_gradient, WEIGHT_GRADIENT)
