"""1x1 and depthwise convolutions of channels_last maps, with bias and activation, and squeeze-excite: for inference.

Arguments are addresses of dense float32 arrays, sizes, and the kind of activation: a call on a small map takes less
time than its arrays would take to unpack. Nothing is checked here; `nn/blocks/inference.py` does. Channels that come
out are a multiple of LANES, and are computed in panels of sixteen, the last of which may be of eight. Each result is
summed by one thread, always in the same order: the number of threads changes no bit.
"""

from __future__ import annotations

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from autonl_core.nn.kernels import PANEL
from autonl_core.nn.kernels.compiled import ONE, Compiled, arguments, inner, pointer, share
from autonl_core.nn.kernels.vectors import VECTOR_BYTES, copier, product_tile, window_tile

_FLOAT_BYTES = 4
_PANEL_BYTES = 2 * VECTOR_BYTES
_BAND_BYTES = 48_000  # of input rows that are worked on together: they stay near the first-level cache
_PARTIAL_ROWS = 64  # rows that are added up before they go into a sum: so that long sums lose no digits

_product_6x2, _product_4x2, _product_1x2 = product_tile(6, 2), product_tile(4, 2), product_tile(1, 2)
_product_6x1, _product_4x1, _product_1x1 = product_tile(6, 1), product_tile(4, 1), product_tile(1, 1)
_window_4x2, _window_4x1, _window_1x2, _window_1x1 = (window_tile(r, v) for r, v in ((4, 2), (4, 1), (1, 2), (1, 1)))
_copy_2, _copy_1 = copier(2), copier(1)

Array = NDArray[np.float32]
POINTWISE = arguments("x panels bias out rows in_channels channels kind chunk")
DEPTHWISE = arguments("x weight bias out batch height width channels size stride top left kind parts")
SQUEEZE_EXCITE = arguments("x reduce reduce_bias expand expand_bias batch positions channels squeezed kind gate_kind")


@inner
def _tile(
    rows: int, wide: bool, x: int, step: int, length: int, panel: int, bias: int, kind: int, out: int, out_step: int
) -> None:
    """(rows, length), `step` bytes apart, times one panel; 6, 4 or 1 rows."""
    if rows == 6 and wide:
        _product_6x2(x, step, length, panel, bias, kind, out, out_step)
    elif rows == 6:
        _product_6x1(x, step, length, panel, bias, kind, out, out_step)
    elif rows == 4 and wide:
        _product_4x2(x, step, length, panel, bias, kind, out, out_step)
    elif rows == 4:
        _product_4x1(x, step, length, panel, bias, kind, out, out_step)
    elif wide:
        _product_1x2(x, step, length, panel, bias, kind, out, out_step)
    else:
        _product_1x1(x, step, length, panel, bias, kind, out, out_step)


@inner
def _multiply(x: int, panels: int, bias: int, out: int, rows: int, in_channels: int, channels: int, kind: int) -> None:
    """(rows, in_channels) -> (rows, channels). The last tile of a column begins early, if need be, to be full."""
    step, out_step = _FLOAT_BYTES * in_channels, _FLOAT_BYTES * channels
    height = 6 if rows >= 6 else 4 if rows >= 4 else 1
    for c in range(0, channels, PANEL):
        panel, offset, wide = panels + step * c, _FLOAT_BYTES * c, channels - c >= PANEL
        for r in range(0, rows, height):
            at = min(r, rows - height)
            to = out + offset + out_step * at
            _tile(height, wide, x + step * at, step, in_channels, panel, bias + offset, kind, to, out_step)


def _pointwise(at: int) -> None:
    """(rows, in_channels) -> (rows, channels), `chunk` rows at a time."""
    given = carray(pointer(at, POINTWISE), (1,))[0]
    rows, in_channels, channels, chunk = given.rows, given.in_channels, given.channels, given.chunk
    step, out_step = _FLOAT_BYTES * in_channels, _FLOAT_BYTES * channels
    first_part, last_part = share((rows + chunk - 1) // chunk)
    for part in range(first_part, last_part):
        first = part * chunk
        count = min(rows, first + chunk) - first
        x, out = given.x + step * first, given.out + out_step * first
        _multiply(x, given.panels, given.bias, out, count, in_channels, channels, given.kind)


@inner
def _pad_panel(
    x: int, x_step: int, height: int, width: int, first: int, margin: int, left: int, wide: bool, padded: Array
) -> None:
    """One panel of channels of a map (H, W, C), from row `first` on, between margins that are and stay zero.

    Positions of the map are `x_step` bytes apart. padded: (rows, W + 2 margin, PANEL), of which `left` columns, at most
    the margin, are before the map; rows outside the map are zero.
    """
    for y in range(len(padded)):
        if 0 <= first + y < height:
            source = x + x_step * width * (first + y)
            target = padded.ctypes.data + _PANEL_BYTES * ((width + 2 * margin) * y + left)
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


def _depthwise(at: int) -> None:
    """(B, H, W, C), weights (size, size, C) -> (B, H', W', C); the panels of an image in `parts` of equal size.

    The first window begins `top` rows above and `left` columns left of the map, at most size // 2.
    """
    given = carray(pointer(at, DEPTHWISE), (1,))[0]
    batch, height, width, channels = given.batch, given.height, given.width, given.channels
    size, stride, parts = given.size, given.stride, given.parts
    margin, step = size // 2, _FLOAT_BYTES * channels
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    panels = (channels + PANEL - 1) // PANEL
    panels_of_part = (panels + parts - 1) // parts
    line = _PANEL_BYTES * (width + 2 * margin)
    band = max(1, min(rows, (_BAND_BYTES // line - size) // stride + 1))
    padded = np.zeros(((band - 1) * stride + size, width + 2 * margin, PANEL), np.float32)
    first_task, last_task = share(batch * parts)
    for task in range(first_task, last_task):
        image, part = task // parts, task % parts
        for panel in range(part * panels_of_part, min(panels, (part + 1) * panels_of_part)):
            offset = _FLOAT_BYTES * PANEL * panel
            wide = channels - panel * PANEL >= PANEL
            source = given.x + step * height * width * image + offset
            for first in range(0, rows, band):
                count = min(rows, first + band) - first
                needed = padded[: (count - 1) * stride + size]
                _pad_panel(source, step, height, width, first * stride - given.top, margin, given.left, wide, needed)
                for y in range(count):
                    begin = padded.ctypes.data + line * stride * y
                    to = given.out + step * columns * (image * rows + first + y) + offset
                    weight, bias = given.weight + offset, given.bias + offset
                    _windows(begin, line, stride, size, weight, step, bias, given.kind, to, columns, wide)


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


def _squeeze_excite(at: int) -> None:
    """(B, positions, C), scaled in place. `squeezed` is a multiple of LANES too: the last units may be of zeros."""
    given = carray(pointer(at, SQUEEZE_EXCITE), (1,))[0]
    batch, positions, channels, squeezed = given.batch, given.positions, given.channels, given.squeezed
    maps = carray(pointer(given.x, ONE), (batch, positions, channels))
    first, last = share(batch)
    for image in range(first, last):
        # One array, whose last part is read last: Numba frees an array after its last use, and knows no addresses.
        memory = np.empty(2 * channels + squeezed, np.float32)
        gate = memory[channels + squeezed :]
        _average(maps[image], memory[:channels])
        mean = memory.ctypes.data
        narrow = mean + _FLOAT_BYTES * channels
        wide = narrow + _FLOAT_BYTES * squeezed
        _multiply(mean, given.reduce, given.reduce_bias, narrow, 1, channels, squeezed, given.kind)
        _multiply(narrow, given.expand, given.expand_bias, wide, 1, squeezed, channels, given.gate_kind)
        for i in range(positions):
            row = maps[image, i]
            for c in range(channels):
                row[c] *= gate[c]


pointwise, depthwise = Compiled(_pointwise, POINTWISE), Compiled(_depthwise, DEPTHWISE)
squeeze_excite = Compiled(_squeeze_excite, SQUEEZE_EXCITE)
