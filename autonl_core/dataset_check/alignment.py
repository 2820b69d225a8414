"""Bring two pictures of one size into alignment: a crop by a few pixels shifts and stretches what a copy shows.

Shift and scale of both axes are found by least squares (Lucas and Kanade), together with contrast and brightness, from
coarse to fine. Coordinates are fractions of half the size from the centre, so that they are the same at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.float32]  # (H, W), or (H, W, channels)

_FINEST_PX = 80  # sizes at which shifts are found
_COARSEST_PX = 40
_LEAST_PX = 8
_STEPS = 4
_STOP_PX = 0.02  # change of a step
_MOST = 0.1  # shift or change of scale that a copy may have, of half the size
_LEAST_SHIFT_PX = 0.15  # anywhere; below, pictures are aligned as they are
_LEAST_GAIN = 0.65  # of the squared difference that must not remain, where pictures agree most
_AGREEING = 0.8  # share of the pixels: a mark or other writing must not decide
_RIDGE = 1e-3  # per pixel: keeps flat pictures in place


def halved(planes: Planes) -> Planes:
    """Means of 2 by 2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in planes.shape[:2])
    planes = planes[:height, :width]
    return (planes[0::2, 0::2] + planes[1::2, 0::2] + planes[0::2, 1::2] + planes[1::2, 1::2]) * np.float32(0.25)


class _Shift(NamedTuple):
    """Scale and shift of both axes: where in one picture is what the other shows."""

    scale_x: float = 1.0
    shift_x: float = 0.0
    scale_y: float = 1.0
    shift_y: float = 0.0

    def positions(self, height: int, width: int) -> tuple[Planes, Planes]:
        """Of rows and columns, in pixels."""
        return _positions(height, self.scale_y, self.shift_y), _positions(width, self.scale_x, self.shift_x)


def align(one: Planes, other: Planes) -> tuple[Planes, Planes] | None:
    """What both (H, W, 3) pictures show, with `other` moved onto `one`; None if they align no better than before."""
    sizes = [(one[..., 0], other[..., 0])]
    while max(sizes[-1][0].shape) > _COARSEST_PX:
        sizes.append((halved(sizes[-1][0]), halved(sizes[-1][1])))
    small = [(_blurred(a), _blurred(b)) for a, b in sizes if max(a.shape) <= _FINEST_PX and min(a.shape) >= _LEAST_PX]
    if not small:
        return None
    shift = _find_shift(small[::-1])
    furthest = max(np.abs(places - np.arange(len(places))).max() for places in shift.positions(*one.shape[:2]))
    if furthest < _LEAST_SHIFT_PX or _remaining(*_moved(*small[0], shift)) >= _LEAST_GAIN * _remaining(*small[0]):
        return None
    return _moved(one, other, shift)


def _moved(one: Planes, other: Planes, shift: _Shift) -> tuple[Planes, Planes]:
    """The part of `one` that is in both, and that of `other` moved onto it."""
    height, width = one.shape[:2]
    y, x = shift.positions(height, width)
    inside_y, inside_x = (y >= 0) & (y <= height - 1), (x >= 0) & (x <= width - 1)
    return one[inside_y][:, inside_x], _sampled(_sampled(other, y[inside_y], 0), x[inside_x], 1)


def _find_shift(sizes: Sequence[tuple[Planes, Planes]]) -> _Shift:
    """From coarse to fine; none if it would be larger than in a copy."""
    unmoved = np.array(_Shift())
    found = unmoved
    for one, other in sizes:
        for _ in range(_STEPS):
            step = _step(one, other, _Shift(*found.tolist()))
            found = found + step
            if not np.all(np.abs(found - unmoved) < _MOST):
                return _Shift()
            if np.abs(step).max() * max(one.shape) / 2 < _STOP_PX:
                break
    return _Shift(*found.tolist())


def _step(one: Planes, other: Planes, shift: _Shift) -> NDArray[np.float64]:
    """The change of scales and shifts that makes the squared difference smallest, to first order."""
    height, width = one.shape
    y, x = shift.positions(height, width)
    moved = _sampled(_sampled(other, x, 1), y, 0)
    slope_y, slope_x = np.gradient(moved)
    slope_x *= width / 2
    slope_y *= height / 2
    columns = (
        slope_x * _centred(width)[None],
        slope_x,
        slope_y * _centred(height)[:, None],
        slope_y,
        moved - moved.mean(),
        np.ones_like(moved),
    )
    inside = slice(2, -2)
    matrix = np.stack([column[inside, inside].ravel() for column in columns])  # (6, pixels)
    normal = matrix @ matrix.T
    normal[np.diag_indices(6)] += _RIDGE * matrix.shape[1]
    differences = (one - moved)[inside, inside].ravel()
    return np.asarray(np.linalg.solve(normal.astype(np.float64), (matrix @ differences).astype(np.float64))[:4])


def _centred(size: int) -> Planes:
    """The places of pixels, from -1 to 1."""
    return np.asarray((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1)


def _positions(size: int, scale: float, shift: float) -> Planes:
    """The places of pixels after scaling and shifting, in pixels."""
    places = (_centred(size) * np.float32(scale) + np.float32(shift) + 1) * np.float32(size / 2)
    return np.asarray(places - np.float32(0.5), dtype=np.float32)


def _sampled(planes: Planes, positions: Planes, axis: int) -> Planes:
    """Values between pixels along an axis, by cubic (Catmull-Rom) interpolation."""
    size = planes.shape[axis]
    positions = np.clip(positions, 0, size - 1)
    below = np.floor(positions).astype(np.int64)
    shape = [1] * planes.ndim
    shape[axis] = -1
    rest: Planes = (positions - below).astype(np.float32).reshape(shape)
    p, q, r, s = (planes.take((below + offset).clip(0, size - 1), axis) for offset in (-1, 0, 1, 2))
    half = np.float32(0.5)
    return q + half * rest * (r - p + rest * (2 * p - 5 * q + 4 * r - s + rest * (3 * (q - r) + s - p)))


def _blurred(plane: Planes) -> Planes:
    for _ in range(2):  # along one axis, then along the other
        padded = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
        plane = ((padded[:-2] + 2 * padded[1:-1] + padded[2:]) * np.float32(0.25)).T
    return plane


def _remaining(one: Planes, other: Planes) -> float:
    """The mean squared difference where pictures agree most."""
    squares = np.square(one - other).ravel()
    agreeing = int(len(squares) * _AGREEING)
    return float(np.partition(squares, agreeing)[:agreeing].mean()) if agreeing else 0.0
