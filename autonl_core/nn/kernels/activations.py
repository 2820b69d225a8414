"""Activations inside kernels, and their slopes: without a branch or a call, so that loops over them vectorise.

`one` is 1 in the type of the map. NaN passes. At a kink, a slope is the one that PyTorch takes.
"""

from __future__ import annotations

from autonl_core.nn.kernels.compiled import inner
from autonl_core.nn.kernels.exponential import exp


@inner
def swish(v: float, one: float) -> float:
    return v / (one + exp(-v))


@inner
def swish_slope(v: float, one: float) -> float:
    s = one / (one + exp(-v))
    return s + v * s * (one - s)


@inner
def relu(v: float, one: float) -> float:
    zero = one - one
    return max(v, zero)


@inner
def relu_slope(v: float, one: float) -> float:
    zero = one - one
    return one if v > zero else zero


@inner
def relu6(v: float, one: float) -> float:
    zero, six = one - one, 6 * one
    v = max(v, zero)
    return min(v, six)


@inner
def relu6_slope(v: float, one: float) -> float:
    zero, six = one - one, 6 * one
    below = one if v < six else zero
    return below if v > zero else zero


@inner
def hard_swish(v: float, one: float) -> float:
    return v * relu6(v + 3 * one, one) / (6 * one)


@inner
def hard_swish_slope(v: float, one: float) -> float:
    zero, three = one - one, 3 * one
    rising = one if v > three else v / three + one / 2
    return zero if v < -three else rising
