"""Batch norm in one pass: by hand, as PyTorch in double precision, and the same bits for any number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from autonl_core.nn.kernels import HARD_SWISH, PLAIN, RELU, RELU6, RESIDUAL, SWISH
from autonl_core.nn.kernels.batch_norm import differentiate, normalise
from autonl_core.nn.kernels.compiled import chunk_rows

Array = NDArray[np.float32]
KINDS = (PLAIN, SWISH, RELU, RELU6, HARD_SWISH, RESIDUAL)
FOLLOWED_BY: dict[int, Callable[[Tensor, Tensor], Tensor]] = {
    PLAIN: lambda v, _: v,
    SWISH: lambda v, _: F.silu(v),
    RELU: lambda v, _: F.relu(v),
    RELU6: lambda v, _: F.relu6(v),
    HARD_SWISH: lambda v, _: F.hardswish(v),
    RESIDUAL: lambda v, residual: v + residual,
}


def addresses(*arrays: Array) -> tuple[int, ...]:
    assert all(array.flags.c_contiguous for array in arrays)
    return tuple(array.ctypes.data for array in arrays)


def scratch(x: Array) -> Array:
    return np.full((2, -(-len(x) // chunk_rows(x.shape[1])), x.shape[1]), np.nan, x.dtype)


def forward(
    x: Array, scale: Array, shift: Array, residual: Array, kind: int, threads: int = 1, eps: float = 1e-3
) -> tuple[Array, Array]:
    """The result, and (3, C) of mean, 1 / std and unbiased variance."""
    out, found = np.full_like(x, np.nan), np.full((3, x.shape[1]), np.nan, x.dtype)
    maps, sizes = (x, scale, shift, residual, out, found, scratch(x)), (*x.shape, chunk_rows(x.shape[1]))
    normalise(threads, x.size, (*addresses(*maps), *sizes, kind, eps), x.dtype.type(1))
    return out, found


def backward(
    x: Array, out_grad: Array, scale: Array, shift: Array, found: Array, kind: int, threads: int = 1
) -> tuple[Array, Array]:
    """Gradients of x, and (2, C) of scale and shift."""
    x_grad, weight_grads = np.full_like(x, np.nan), np.full((2, x.shape[1]), np.nan, x.dtype)
    maps = (x, out_grad, scale, shift, found, x_grad, weight_grads, scratch(x))
    sizes = (*x.shape, chunk_rows(x.shape[1]))
    differentiate(threads, x.size, (*addresses(*maps), *sizes, kind), x.dtype.type(1))
    return x_grad, weight_grads


def sample(rows: int, channels: int, seed: int = 0) -> tuple[Array, ...]:
    """x with a mean of its own in every channel, scale, shift, a residual and a gradient of the result."""
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(0, 3, channels), rng.uniform(0.5, 2, channels), (rows, channels))
    columns = rng.normal(1, 0.3, channels), rng.normal(0, 0.5, channels)
    rest = rng.normal(size=(rows, channels)), rng.normal(size=(rows, channels))
    return tuple(array.astype(np.float32) for array in (x, *columns, *rest))


def test_two_numbers_by_hand() -> None:
    # 1 and 5: mean 3, variance 4; with eps 0 and scale 2 the normalised values are -2 and 2; shifted by 1: -1 and 3
    x, scale, shift = (np.array(v, np.float32) for v in ([[1], [5]], [2], [1]))
    out, found = forward(x, scale, shift, x, PLAIN, eps=0.0)
    assert out.tolist() == [[-1], [3]]
    assert found.ravel().tolist() == [3, 0.5, 8]  # unbiased: 2 / (2 - 1) times as much
    assert forward(x, scale, shift, x, RESIDUAL, eps=0.0)[0].tolist() == [[0], [8]]
    swish = forward(x, scale, shift, x, SWISH, eps=0.0)[0].ravel()
    assert swish == pytest.approx([-1 / (1 + math.e), 3 / (1 + math.exp(-3))], rel=3e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "channels"), [(3, 5), (64 * 16, 16), (700, 24), (64 * 49, 33), (50_000, 8)])
def test_it_is_what_pytorch_computes_in_double_precision(kind: int, rows: int, channels: int) -> None:
    x, scale, shift, residual, out_grad = sample(rows, channels)
    out, found = forward(x, scale, shift, residual, kind)
    x_grad, weight_grads = backward(x, out_grad, scale, shift, found, kind)

    exact = [torch.from_numpy(array).double().requires_grad_() for array in (x, scale, shift)]
    normalised = F.batch_norm(exact[0], None, None, exact[1], exact[2], training=True, eps=1e-3)
    expected = FOLLOWED_BY[kind](normalised, torch.from_numpy(residual).double())
    expected.backward(torch.from_numpy(out_grad).double())
    np.testing.assert_allclose(out, expected.detach(), rtol=2e-6, atol=4e-6)
    for ours, leaf in zip((x_grad, *weight_grads), exact, strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(ours, leaf.grad, rtol=5e-6, atol=2e-6 * float(leaf.grad.abs().max()))


def test_a_large_mean_costs_no_digits_of_the_variance() -> None:
    rng = np.random.default_rng(0)
    x = (1e4 + rng.normal(size=(20_000, 4))).astype(np.float32)
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    variance = forward(x, ones, zeros, x, PLAIN)[1][2]
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=0, ddof=1), rtol=1e-5)


def test_swish_far_from_zero_neither_overflows_nor_loses_its_sign() -> None:
    # scale 1e3: normalised values reach +-1.7e4, where e^-v is beyond float32
    x, _, _, residual, out_grad = sample(1_000, 4)
    scale, shift = np.full(4, 1e4, np.float32), np.zeros(4, np.float32)
    out, found = forward(x, scale, shift, residual, SWISH)
    plain = forward(x, scale, shift, residual, PLAIN)[0]
    np.testing.assert_allclose(out, np.maximum(plain, 0), atol=0.3)  # Swish is never lower than -0.28
    assert all(np.isfinite(grad).all() for grad in backward(x, out_grad, scale, shift, found, SWISH))


def test_a_lost_value_stays_visible() -> None:
    x, scale, shift, residual, _ = sample(100, 4)
    x[50, 2] = np.nan
    for kind in KINDS:
        out = forward(x, scale, shift, residual, kind)[0]
        assert np.isnan(out[:, 2]).all()
        assert np.isfinite(out[:, [0, 1, 3]]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_the_number_of_threads(kind: int) -> None:
    x, scale, shift, residual, out_grad = sample(64 * 256, 24)  # large enough for several
    one, two = (forward(x, scale, shift, residual, kind, threads) for threads in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    one_back, two_back = (backward(x, out_grad, scale, shift, one[1], kind, threads) for threads in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one_back, two_back, strict=True))
