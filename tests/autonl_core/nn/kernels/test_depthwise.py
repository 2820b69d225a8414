"""The weight gradient of depthwise convolutions: a number by hand, and PyTorch's own in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.grad import conv2d_weight

from autonl_core.nn.kernels.depthwise import weight_gradient

Array = NDArray[np.float32]


def gradient(x: Array, out_grad: Array, size: int, stride: int, images: int = 2, threads: int = 1) -> Array:
    result = np.full((size, size, x.shape[3]), np.nan, x.dtype)
    sums = np.full((-(-len(x) // images), *result.shape), np.nan, x.dtype)
    addresses = [array.ctypes.data for array in (x, out_grad, result, sums)]
    weight_gradient(threads, out_grad.size, (*addresses, *x.shape, size, stride, images), x.dtype.type(1))
    return result


def test_one_position_by_hand() -> None:
    # a 2x2 map, a 3x3 kernel, and a loss of 10 times the result in the lower right corner: its window is the map in
    # the upper left of the kernel, then padding
    x = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
    out_grad = np.zeros_like(x)
    out_grad[0, 1, 1] = 10
    assert gradient(x, out_grad, 3, 1)[..., 0].tolist() == [[10, 20, 0], [30, 40, 0], [0, 0, 0]]


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("batch", "side", "channels"), [(3, 8, 12), (5, 7, 33), (2, 4, 8), (1, 2, 3), (1, 1, 5)])
def test_it_is_what_pytorch_computes_in_double_precision(
    size: int, stride: int, batch: int, side: int, channels: int
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, side, side, channels)).astype(np.float32)
    smaller = -(-side // stride)
    out_grad = rng.normal(size=(batch, smaller, smaller, channels)).astype(np.float32)
    expected = conv2d_weight(
        torch.from_numpy(x).double().permute(0, 3, 1, 2),
        (channels, 1, size, size),
        torch.from_numpy(out_grad).double().permute(0, 3, 1, 2),
        stride=stride,
        padding=size // 2,
        groups=channels,
    )
    ours = gradient(x, out_grad, size, stride)
    np.testing.assert_allclose(ours, expected[:, 0].permute(1, 2, 0), rtol=1e-5, atol=1e-5)


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    x, out_grad = (rng.normal(size=(16, 16, 16, 24)).astype(np.float32) for _ in range(2))
    one, two = (gradient(x, out_grad, 5, 1, threads=threads) for threads in (1, 2))
    assert np.array_equal(one, two)
