"""e^x inside kernels: in single precision a polynomial, without a branch or a call, so that loops over it vectorise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

_F32 = np.float32
LOG2_E = _F32(1.4426950408889634)
LIMIT = _F32(126.0)  # 2^126 and 2^-126 are normal numbers
ROUND = _F32(12_582_912.0)  # 1.5 * 2^23: adding it leaves no bits for a fraction
MANTISSA_BITS = np.int32(23)
# 2^f for |f| <= 1/2, by equal relative errors of 9e-8 at most: coefficients of f, f^2, ...
POLYNOMIAL = (_F32(0.6931469776), _F32(0.2402224208), _F32(0.05550733746), _F32(0.009671512862), _F32(0.001326472709))
_P1, _P2, _P3, _P4, _P5 = POLYNOMIAL


def exp(x: float) -> float:
    """e^x."""
    return math.exp(x)


@overload(exp)
def _compiled_exp(x: Any) -> Callable[[Any], Any]:
    def exp64(x: Any) -> Any:
        return math.exp(x)

    def exp32(x: Any) -> Any:
        """2^(n + f): f goes into a polynomial, whose exponent then grows by n, the lowest bits of `shifted`."""
        power = min(max(x * LOG2_E, -LIMIT), LIMIT)
        shifted = power + ROUND
        f = power - (shifted - ROUND)
        p = ((((_P5 * f + _P4) * f + _P3) * f + _P2) * f + _P1) * f + _F32(1)
        n_bits = np.float32(shifted).view(np.int32) << MANTISSA_BITS
        return np.int32(np.float32(p).view(np.int32) + n_bits).view(np.float32)

    return exp32 if x == types.float32 else exp64
