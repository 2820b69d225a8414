"""Convolutions of channels_last maps with bias and activation, squeeze-excite, and means: inference in float32.

Arguments are addresses of dense arrays, sizes, and the kind of activation: a call on a small map takes less time than
its arrays would take to unpack. Channels that come out are a multiple of LANES. Sums are formed in the same order
whatever the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import carray, prange
from numpy.typing import NDArray

from autonl_core.nn.kernels.compiled import Compiled, inner
from autonl_core.nn.kernels.vectors import LANES, VECTOR_BYTES, copier, pointer, product_tile, window_tile

_FLOAT_BYTES = 4
_PANEL = 2 * LANES  # channels that are computed together
_PANEL_BYTES = 2 * VECTOR_BYTES
_BAND_BYTES = 48_000  # of input rows that are worked on together: they stay near the first-level cache
_PARTIAL_ROWS = 64  # rows that are added up before they go into a sum: so that long sums lose no digits

_product_6x2, _product_4x2, _product_1x2 = product_tile(6, 2), product_tile(4, 2), product_tile(1, 2)
_product_6x1, _product_4x1, _product_1x1 = product_tile(6, 1), product_tile(4, 1), product_tile(1, 1)
_window_4x2, _window_4x1, _window_1x2, _window_1x1 = (window_tile(r, v) for r, v in ((4, 2), (4, 1), (1, 2), (1, 1)))
_copy_2, _copy_1 = copier(2), copier(1)

Array = NDArray[np.float32]
Shape = tuple[int, int, int, int]  # (B, H, W, C)


Rows = tuple[int, int, int, int, int]  # address, step, lines, line step, length: see `product_tile`


@inner
def _tile(rows: int, wide: bool, x: Rows, panel: int, bias: int, kind: int, out: int, out_step: int) -> None:
    """6, 4 or 1 rows of one panel."""
    source, step, lines, line_step, length = x
    if rows == 6 and wide:
        _product_6x2(source, step, lines, line_step, length, panel, bias, kind, out, out_step)
    elif rows == 6:
        _product_6x1(source, step, lines, line_step, length, panel, bias, kind, out, out_step)
    elif rows == 4 and wide:
        _product_4x2(source, step, lines, line_step, length, panel, bias, kind, out, out_step)
    elif rows == 4:
        _product_4x1(source, step, lines, line_step, length, panel, bias, kind, out, out_step)
    elif wide:
        _product_1x2(source, step, lines, line_step, length, panel, bias, kind, out, out_step)
    else:
        _product_1x1(source, step, lines, line_step, length, panel, bias, kind, out, out_step)


@inner
def _multiply(x: Rows, panels: int, bias: int, kind: int, out: int, rows: int, channels: int) -> None:
    """`rows` rows of x times all panels of weights. The last tile of a column begins early, if need be, to be full."""
    source, step, lines, line_step, length = x
    out_step = _FLOAT_BYTES * channels
    height = 6 if rows >= 6 else 4 if rows >= 4 else 1
    for c in range(0, channels, _PANEL):
        panel, offset = panels + _FLOAT_BYTES * lines * length * c, _FLOAT_BYTES * c
        wide = channels - c >= _PANEL
        for r in range(0, rows, height):
            at = min(r, rows - height)
            part = (source + step * at, step, lines, line_step, length)
            _tile(height, wide, part, panel, bias + offset, kind, out + offset + out_step * at, out_step)


def _pointwise(
    x: int, panels: int, bias: int, out: int, rows: int, in_channels: int, channels: int, kind: int, chunk: int
) -> None:
    """(rows, in_channels) -> (rows, channels), `chunk` rows at a time."""
    chunks = (rows + chunk - 1) // chunk
    step = _FLOAT_BYTES * in_channels
    for part in prange(chunks):
        first = part * chunk
        count = min(rows, first + chunk) - first
        to = out + _FLOAT_BYTES * channels * first
        _multiply((x + step * first, step, 1, 0, in_channels), panels, bias, kind, to, count, channels)


@inner
def _pad_rows(x: Array, first: int, margin: int, padded: Array) -> None:
    """Rows of a map, of any strides, from `first` on, between margins that are zero; and zeros outside of the map."""
    for y in range(len(padded)):
        inside = 0 <= first + y < len(x)
        for column in range(x.shape[1]):
            for c in range(x.shape[2]):
                padded[y, margin + column, c] = x[first + y, column, c] if inside else 0


def _convolve(
    x: Array, panels: int, bias: int, out: int, size: int, stride: int, channels: int, kind: int, band: int
) -> None:
    """(B, H, W, C_in) of any strides -> (B, H', W', channels), with "same" padding, `band` rows at a time."""
    batch, height, width, in_channels = x.shape
    margin = size // 2
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    bands = (rows + band - 1) // band
    line, step = _FLOAT_BYTES * (width + 2 * margin) * in_channels, _FLOAT_BYTES * stride * in_channels
    for part in prange(batch * bands):
        image, first = part // bands, part % bands * band
        count = min(rows, first + band) - first
        padded = np.zeros(((count - 1) * stride + size, width + 2 * margin, in_channels), np.float32)
        _pad_rows(x[image], first * stride - margin, margin, padded)
        for y in range(count):
            source = padded.ctypes.data + line * stride * y
            to = out + _FLOAT_BYTES * ((image * rows + first + y) * columns) * channels
            _multiply((source, step, size, line, size * in_channels), panels, bias, kind, to, columns, channels)


@inner
def _pad_panel(
    x: int, x_step: int, height: int, width: int, first: int, margin: int, wide: bool, padded: Array
) -> None:
    """The same for one panel of channels, whose positions are `x_step` bytes apart."""
    for y in range(len(padded)):
        if 0 <= first + y < height:
            source = x + x_step * width * (first + y)
            target = padded.ctypes.data + _PANEL_BYTES * ((width + 2 * margin) * y + margin)
            if wide:
                _copy_2(source, x_step, target, _PANEL_BYTES, width)
            else:
                _copy_1(source, x_step, target, _PANEL_BYTES, width)
        else:
            padded[y] = 0


@inner
def _windows(
    row: int,
    line: int,
    stride: int,
    size: int,
    weight: int,
    step: int,
    bias: int,
    kind: int,
    out: int,
    columns: int,
    wide: bool,
) -> None:
    """One row of results for one panel of channels; `row` is where its first window begins."""
    x_step = _PANEL_BYTES * stride
    column = 0
    while column < columns:
        at = min(column, columns - 4) if columns >= 4 else column
        x, to = row + x_step * at, out + step * at
        if columns >= 4:
            if wide:
                _window_4x2(x, x_step, line, _PANEL_BYTES, size, weight, step, bias, kind, to, step)
            else:
                _window_4x1(x, x_step, line, _PANEL_BYTES, size, weight, step, bias, kind, to, step)
            column += 4
        else:
            if wide:
                _window_1x2(x, x_step, line, _PANEL_BYTES, size, weight, step, bias, kind, to, step)
            else:
                _window_1x1(x, x_step, line, _PANEL_BYTES, size, weight, step, bias, kind, to, step)
            column += 1


def _depthwise(
    x: int, weight: int, bias: int, out: int, shape: Shape, size: int, stride: int, kind: int, parts: int
) -> None:
    """(B, H, W, C), weights (size, size, C) -> (B, H', W', C); the panels of an image in `parts` of equal size."""
    batch, height, width, channels = shape
    margin, step = size // 2, _FLOAT_BYTES * channels
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    panels = (channels + _PANEL - 1) // _PANEL
    share = (panels + parts - 1) // parts
    line = _PANEL_BYTES * (width + 2 * margin)
    band = max(1, min(rows, (_BAND_BYTES // line - size) // stride + 1))
    for task in prange(batch * parts):
        image, part = task // parts, task % parts
        padded = np.zeros(((band - 1) * stride + size, width + 2 * margin, _PANEL), np.float32)
        for panel in range(part * share, min(panels, part * share + share)):
            offset = _FLOAT_BYTES * _PANEL * panel
            wide = channels - panel * _PANEL >= _PANEL
            source = x + step * height * width * image + offset
            for first in range(0, rows, band):
                count = min(rows, first + band) - first
                needed = padded[: (count - 1) * stride + size]
                _pad_panel(source, step, height, width, first * stride - margin, margin, wide, needed)
                for y in range(count):
                    begin = padded.ctypes.data + line * stride * y
                    to = out + step * columns * (image * rows + first + y) + offset
                    _windows(begin, line, stride, size, weight + offset, step, bias + offset, kind, to, columns, wide)


@inner
def _average(x: Array, mean: Array) -> None:
    """(N, C) -> (C,)."""
    partial = np.empty_like(mean)
    mean[:] = 0
    for first in range(0, len(x), _PARTIAL_ROWS):
        partial[:] = 0
        for i in range(first, min(len(x), first + _PARTIAL_ROWS)):
            row = x[i]
            for c in range(mean.size):
                partial[c] += row[c]
        mean += partial
    factor = np.float32(1 / len(x))
    for c in range(mean.size):
        mean[c] *= factor


def _means(x: int, out: int, batch: int, positions: int, channels: int) -> None:
    """(B, positions, C) -> (B, C)."""
    maps = carray(pointer(x), (batch, positions, channels))
    means = carray(pointer(out), (batch, channels))
    for image in prange(batch):
        _average(maps[image], means[image])


def _squeeze_excite(
    x: int,
    reduce: int,
    reduce_bias: int,
    expand: int,
    expand_bias: int,
    batch: int,
    positions: int,
    channels: int,
    squeezed: int,
    kind: int,
    gate_kind: int,
) -> None:
    """(B, positions, C), scaled in place."""
    maps = carray(pointer(x), (batch, positions, channels))
    for image in prange(batch):
        mean, narrow = np.empty(channels, np.float32), np.empty(squeezed, np.float32)
        gate = np.empty(channels, np.float32)
        _average(maps[image], mean)
        _multiply((mean.ctypes.data, 0, 1, 0, channels), reduce, reduce_bias, kind, narrow.ctypes.data, 1, squeezed)
        _multiply(
            (narrow.ctypes.data, 0, 1, 0, squeezed), expand, expand_bias, gate_kind, gate.ctypes.data, 1, channels
        )
        for i in range(positions):
            row = maps[image, i]
            for c in range(channels):
                row[c] *= gate[c]


pointwise, convolve, depthwise = Compiled(_pointwise), Compiled(_convolve), Compiled(_depthwise)
means, squeeze_excite = Compiled(_means), Compiled(_squeeze_excite)
