"""Batch norm of a channels_last map, with Swish or a residual added in the same pass; forward and backward.

A map is seen as rows, (N, C): its positions by its channels. The operators of PyTorch read it three times to
normalise, once more for Swish, and five times on the way back; here it is read twice and written once, each way.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from autonl_core.nn.kernels import RESIDUAL, SWISH
from autonl_core.nn.kernels.compiled import Compiled, inner
from autonl_core.nn.kernels.exponential import exp

_ROUGHLY = 16  # rows that give a first idea of the mean

Array = NDArray[np.float32]


@inner
def _rough_mean(x: Array) -> Array:
    """The mean of some evenly spaced rows: differences to it have sums that lose no digits."""
    step = max(1, len(x) // _ROUGHLY)
    mean = np.zeros(x.shape[1], x.dtype)
    count = 0
    for i in range(0, len(x), step):
        mean += x[i]
        count += 1
    for c in range(mean.size):
        mean[c] /= count
    return mean


@inner
def _add_moments(x: Array, rough: Array, total: Array, squares: Array) -> None:
    """Add the rows of x, and their squares; both of differences to `rough`."""
    total[:] = 0
    squares[:] = 0
    for i in range(len(x)):
        row = x[i]
        for c in range(row.size):
            d = row[c] - rough[c]
            total[c] += d
            squares[c] += d * d


@inner
def _swish(x: Array, factor: Array, offset: Array, out: Array) -> None:
    one = factor.dtype.type(1)
    for i in range(len(x)):
        row, to = x[i], out[i]
        for c in range(row.size):
            v = row[c] * factor[c] + offset[c]
            to[c] = v / (one + exp(-v))


@inner
def _plain(x: Array, factor: Array, offset: Array, out: Array) -> None:
    for i in range(len(x)):
        row, to = x[i], out[i]
        for c in range(row.size):
            to[c] = row[c] * factor[c] + offset[c]


@inner
def _added(x: Array, factor: Array, offset: Array, residual: Array, out: Array) -> None:
    for i in range(len(x)):
        row, to, added = x[i], out[i], residual[i]
        for c in range(row.size):
            to[c] = row[c] * factor[c] + offset[c] + added[c]


@inner
def _swish_slopes(
    x: Array, out_grad: Array, factor: Array, offset: Array, mean: Array, u: Array, total: Array, products: Array
) -> None:
    """u = dL/dv, and its sums: alone, and with x - mean."""
    one = factor.dtype.type(1)
    total[:] = 0
    products[:] = 0
    for i in range(len(x)):
        row, given, to = x[i], out_grad[i], u[i]
        for c in range(row.size):
            v = row[c] * factor[c] + offset[c]
            s = one / (one + exp(-v))
            slope = given[c] * (s + v * s * (one - s))
            to[c] = slope
            total[c] += slope
            products[c] += slope * (row[c] - mean[c])


@inner
def _slopes(x: Array, u: Array, mean: Array, total: Array, products: Array) -> None:
    total[:] = 0
    products[:] = 0
    for i in range(len(x)):
        row, given = x[i], u[i]
        for c in range(row.size):
            total[c] += given[c]
            products[c] += given[c] * (row[c] - mean[c])


@inner
def _combine(x: Array, u: Array, factor: Array, by_x: Array, constant: Array, x_grad: Array) -> None:
    for i in range(len(x)):
        row, given, to = x[i], u[i], x_grad[i]
        for c in range(row.size):
            to[c] = factor[c] * given[c] - by_x[c] * row[c] - constant[c]


@inner
def _combine_in_place(x: Array, u: Array, factor: Array, by_x: Array, constant: Array) -> None:
    """The same where u is: compiled for two maps that overlap, `_combine` would not be vectorised."""
    for i in range(len(x)):
        row, to = x[i], u[i]
        for c in range(row.size):
            to[c] = factor[c] * to[c] - by_x[c] * row[c] - constant[c]


def _normalise(
    x: Array,
    scale: Array,
    shift: Array,
    residual: Array,
    eps: float,
    kind: int,
    chunk: int,
    out: Array,
    found: Array,
) -> None:
    """out = f(scale (x - mean) / sqrt(variance + eps) + shift), with the statistics of x.

    `kind` selects f: nothing, Swish, or + residual. Maps are (N, C), vectors (C,). `found`, (3, C), receives the mean,
    1 / sqrt(variance + eps) and the unbiased variance, N / (N - 1) of the one above.
    """
    rows, channels = x.shape
    chunks = (rows + chunk - 1) // chunk
    totals, squares = np.empty((chunks, channels), x.dtype), np.empty((chunks, channels), x.dtype)
    rough = _rough_mean(x)
    for part in prange(chunks):
        _add_moments(x[part * chunk : (part + 1) * chunk], rough, totals[part], squares[part])
    mean, inverse_std, unbiased_variance = found[0], found[1], found[2]
    for c in range(channels):
        of_difference = _sum(totals, c) / rows
        variance = max(_sum(squares, c) / rows - of_difference * of_difference, 0.0)
        mean[c] = rough[c] + of_difference
        inverse_std[c] = 1.0 / math.sqrt(variance + eps)
        unbiased_variance[c] = variance * rows / max(1, rows - 1)
    factor = scale * inverse_std
    offset = shift - mean * factor
    for part in prange(chunks):
        span = slice(part * chunk, (part + 1) * chunk)
        if kind == SWISH:
            _swish(x[span], factor, offset, out[span])
        elif kind == RESIDUAL:
            _added(x[span], factor, offset, residual[span], out[span])
        else:
            _plain(x[span], factor, offset, out[span])


def _differentiate(
    x: Array,
    out_grad: Array,
    scale: Array,
    shift: Array,
    found: Array,
    kind: int,
    chunk: int,
    x_grad: Array,
    weight_grads: Array,
) -> None:
    """Gradients of `_normalise`: with u = dL/dv of the normalised map v, and x^ = (x - mean) / std,

    dL/dscale = sum u x^,  dL/dshift = sum u,  dL/dx = scale / std (u - mean(u) - x^ mean(u x^))

    `weight_grads`, (2, C), receives the first two.
    """
    mean, inverse_std, scale_grad, shift_grad = found[0], found[1], weight_grads[0], weight_grads[1]
    chunks = (len(x) + chunk - 1) // chunk
    totals, products = np.empty((chunks, scale.size), x.dtype), np.empty((chunks, scale.size), x.dtype)
    factor = scale * inverse_std
    offset = shift - mean * factor
    u = x_grad if kind == SWISH else out_grad  # kept in `x_grad` until the second pass: saves a second exponential
    for part in prange(chunks):
        span = slice(part * chunk, (part + 1) * chunk)
        if kind == SWISH:
            _swish_slopes(x[span], out_grad[span], factor, offset, mean, u[span], totals[part], products[part])
        else:
            _slopes(x[span], u[span], mean, totals[part], products[part])
    for c in range(scale.size):
        shift_grad[c] = _sum(totals, c)
        scale_grad[c] = _sum(products, c) * inverse_std[c]
    by_x = factor * scale_grad * inverse_std / scale.dtype.type(len(x))
    constant = factor * shift_grad / scale.dtype.type(len(x)) - mean * by_x
    for part in prange(chunks):
        span = slice(part * chunk, (part + 1) * chunk)
        if kind == SWISH:
            _combine_in_place(x[span], u[span], factor, by_x, constant)
        else:
            _combine(x[span], u[span], factor, by_x, constant, x_grad[span])


@inner
def _sum(parts: Array, channel: int) -> float:
    """Over all chunks, in double precision."""
    total = 0.0
    for part in range(len(parts)):
        total += parts[part, channel]
    return total


normalise, differentiate = Compiled(_normalise), Compiled(_differentiate)
