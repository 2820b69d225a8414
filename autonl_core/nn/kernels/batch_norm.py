"""Batch norm of a channels_last map, with an activation or a residual added in the same pass; forward and backward.

A map is seen as rows, (N, C): its positions by its channels. The operators of PyTorch read it three times to
normalise, once more to activate, and five times on the way back; here it is read twice and written once, each way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from autonl_core.nn.kernels import HARD_SWISH, PLAIN, RELU, RELU6, RESIDUAL, SWISH
from autonl_core.nn.kernels.activations import (
    hard_swish,
    hard_swish_slope,
    relu,
    relu6,
    relu6_slope,
    relu_slope,
    swish,
    swish_slope,
)
from autonl_core.nn.kernels.compiled import ONE, Compiled, all_threads, arguments, inner, pointer, share
from autonl_core.nn.kernels.team import thread_number

NORMALISE = arguments("x scale shift residual out found parts rows channels chunk kind", real="eps")
DIFFERENTIATE = arguments("x out_grad scale shift found x_grad weight_grads parts rows channels chunk kind")
_ROUGHLY = 16  # rows that give a first idea of the mean

Array = NDArray[np.float32]
Double = NDArray[np.float64]
Activation = Callable[[Any, Any], Any]  # of v and of 1 in its type


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


def _followed_by(activation: Activation) -> Callable[[Array, Array, Array, Array], None]:
    @inner
    def apply(x: Array, factor: Array, offset: Array, out: Array) -> None:
        one = factor.dtype.type(1)
        for i in range(len(x)):
            row, to = x[i], out[i]
            for c in range(row.size):
                to[c] = activation(row[c] * factor[c] + offset[c], one)

    return apply


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


def _slopes_of(slope: Activation) -> Callable[..., None]:
    @inner
    def differentiate(
        x: Array, out_grad: Array, factor: Array, offset: Array, mean: Array, u: Array, total: Array, products: Array
    ) -> None:
        """u = dL/dv, and its sums: alone, and with x - mean.

        In two loops over a row, since LLVM would not vectorise one: of that many arrays it does not check whether they
        overlap.
        """
        one = factor.dtype.type(1)
        total[:] = 0
        products[:] = 0
        for i in range(len(x)):
            row, given, to = x[i], out_grad[i], u[i]
            for c in range(row.size):
                to[c] = given[c] * slope(row[c] * factor[c] + offset[c], one)
            for c in range(row.size):
                total[c] += to[c]
                products[c] += to[c] * (row[c] - mean[c])

    return differentiate


_swish, _relu, _relu6, _hard_swish = (_followed_by(f) for f in (swish, relu, relu6, hard_swish))
_swish_slopes, _relu_slopes = _slopes_of(swish_slope), _slopes_of(relu_slope)
_relu6_slopes, _hard_swish_slopes = _slopes_of(relu6_slope), _slopes_of(hard_swish_slope)


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


@inner
def _finish(x: Array, factor: Array, offset: Array, residual: Array, kind: int, out: Array) -> None:
    if kind == SWISH:
        _swish(x, factor, offset, out)
    elif kind == RELU:
        _relu(x, factor, offset, out)
    elif kind == RELU6:
        _relu6(x, factor, offset, out)
    elif kind == HARD_SWISH:
        _hard_swish(x, factor, offset, out)
    elif kind == RESIDUAL:
        _added(x, factor, offset, residual, out)
    else:
        _plain(x, factor, offset, out)


@inner
def _undo(
    x: Array,
    out_grad: Array,
    factor: Array,
    offset: Array,
    mean: Array,
    kind: int,
    u: Array,
    total: Array,
    products: Array,
) -> None:
    """u = dL/dv, which without an activation is there already, and its sums."""
    if kind == SWISH:
        _swish_slopes(x, out_grad, factor, offset, mean, u, total, products)
    elif kind == RELU:
        _relu_slopes(x, out_grad, factor, offset, mean, u, total, products)
    elif kind == RELU6:
        _relu6_slopes(x, out_grad, factor, offset, mean, u, total, products)
    elif kind == HARD_SWISH:
        _hard_swish_slopes(x, out_grad, factor, offset, mean, u, total, products)
    else:
        _slopes(x, u, mean, total, products)


def _normalise(at: int) -> None:
    """out = f(scale (x - mean) / sqrt(variance + eps) + shift), with the statistics of x.

    `kind` selects f: nothing, an activation, or + residual. Maps are (N, C), vectors (C,). `found`, (3, C), receives
    the mean, 1 / sqrt(variance + eps) and the unbiased variance, N / (N - 1) of the one above. `parts`, (2, chunks, C),
    is scratch memory.
    """
    given = carray(pointer(at, NORMALISE), (1,))[0]
    rows, channels, chunk = given.rows, given.channels, given.chunk
    maps, vector = (rows, channels), (channels,)
    x, out = carray(pointer(given.x, ONE), maps), carray(pointer(given.out, ONE), maps)
    residual, found = carray(pointer(given.residual, ONE), maps), carray(pointer(given.found, ONE), (3, channels))
    scale, shift = carray(pointer(given.scale, ONE), vector), carray(pointer(given.shift, ONE), vector)
    chunks = (rows + chunk - 1) // chunk
    parts = carray(pointer(given.parts, ONE), (2, chunks, channels))
    totals, squares = parts[0], parts[1]  # unpacked, Numba would not know that rows are dense, nor vectorise sums
    first, last = share(chunks)
    rough = _rough_mean(x)
    for part in range(first, last):
        _add_moments(x[part * chunk : (part + 1) * chunk], rough, totals[part], squares[part])
    all_threads()
    mean, inverse_std, variance = _statistics(_sum(totals), _sum(squares), rough, rows, given.eps)
    if thread_number() == 0:
        found[0], found[1] = mean, inverse_std
        for c in range(channels):
            found[2, c] = variance[c] * rows / max(1, rows - 1)
    factor = scale * inverse_std
    offset = shift - mean * factor
    mine = slice(first * chunk, last * chunk)
    _finish(x[mine], factor, offset, residual[mine], given.kind, out[mine])


@inner
def _statistics(total: Double, squares: Double, rough: Array, rows: int, eps: float) -> tuple[Array, Array, Double]:
    """Mean, 1 / sqrt(variance + eps) and variance, of sums of the differences to `rough` and of their squares."""
    mean, inverse_std, variance = np.empty_like(rough), np.empty_like(rough), np.empty_like(total)
    for c in range(mean.size):
        of_difference = total[c] / rows
        variance[c] = max(squares[c] / rows - of_difference * of_difference, 0.0)
        mean[c] = rough[c] + of_difference
        inverse_std[c] = 1.0 / math.sqrt(variance[c] + eps)
    return mean, inverse_std, variance


def _differentiate(at: int) -> None:
    """Gradients of `_normalise`: with u = dL/dv of the normalised map v, and x^ = (x - mean) / std,

    dL/dscale = sum u x^,  dL/dshift = sum u,  dL/dx = scale / std (u - mean(u) - x^ mean(u x^))

    `weight_grads`, (2, C), receives the first two. `parts` as above.
    """
    given = carray(pointer(at, DIFFERENTIATE), (1,))[0]
    rows, channels, chunk, kind = given.rows, given.channels, given.chunk, given.kind
    maps, vector = (rows, channels), (channels,)
    x, out_grad = carray(pointer(given.x, ONE), maps), carray(pointer(given.out_grad, ONE), maps)
    x_grad, found = carray(pointer(given.x_grad, ONE), maps), carray(pointer(given.found, ONE), (3, channels))
    scale, shift = carray(pointer(given.scale, ONE), vector), carray(pointer(given.shift, ONE), vector)
    mean, inverse_std = found[0], found[1]
    chunks = (rows + chunk - 1) // chunk
    parts = carray(pointer(given.parts, ONE), (2, chunks, channels))
    totals, products = parts[0], parts[1]
    factor = scale * inverse_std
    offset = shift - mean * factor
    activated = kind not in (PLAIN, RESIDUAL)
    u = x_grad if activated else out_grad  # kept in `x_grad` until the second pass: saves a second exponential
    first, last = share(chunks)
    for part in range(first, last):
        span = slice(part * chunk, (part + 1) * chunk)
        _undo(x[span], out_grad[span], factor, offset, mean, kind, u[span], totals[part], products[part])
    all_threads()
    scale_grad, shift_grad = _weight_grads(_sum(products), _sum(totals), inverse_std)
    if thread_number() == 0:
        weight_grads = carray(pointer(given.weight_grads, ONE), (2, channels))
        weight_grads[0], weight_grads[1] = scale_grad, shift_grad
    count = scale.dtype.type(rows)
    by_x = factor * scale_grad * inverse_std / count
    constant = factor * shift_grad / count - mean * by_x
    mine = slice(first * chunk, last * chunk)
    if activated:
        _combine_in_place(x[mine], u[mine], factor, by_x, constant)
    else:
        _combine(x[mine], u[mine], factor, by_x, constant, x_grad[mine])


@inner
def _weight_grads(products: Double, total: Double, inverse_std: Array) -> tuple[Array, Array]:
    """Gradients of scale and shift, from sums of u (x - mean) and of u, in the type of the map."""
    scale_grad, shift_grad = np.empty_like(inverse_std), np.empty_like(inverse_std)
    scale_grad[:], shift_grad[:] = products * inverse_std, total
    return scale_grad, shift_grad


@inner
def _sum(parts: Array) -> Double:
    """(chunks, C) -> (C,), in double precision."""
    total = np.zeros(parts.shape[1])
    for part in range(len(parts)):
        row = parts[part]
        for c in range(row.size):
            total[c] += row[c]
    return total


normalise, differentiate = Compiled(_normalise, NORMALISE), Compiled(_differentiate, DIFFERENTIATE)
