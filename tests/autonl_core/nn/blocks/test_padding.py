"""SAME padding: numbers by hand, TensorFlow's definition window by window, and every layer that has it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from autonl_core.nn.blocks.activation import ACTIVATIONS
from autonl_core.nn.blocks.conv import ConvNorm
from autonl_core.nn.blocks.padding import SameConv2d, pad, same_margins

SIZES = st.integers(1, 26)
KERNELS = st.sampled_from([1, 3, 5, 7])


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "margins"),
    [
        (224, 3, 2, (0, 1)),  # 112 windows of 3 from 0, 2, ..., 222: one row more than there is
        (75, 3, 2, (1, 1)),  # 38 windows from -1 to 73
        (112, 5, 2, (1, 2)),  # 56 windows of 5 from -1 to 109, the last of which ends at 113
        (101, 5, 2, (2, 2)),
        (64, 7, 2, (2, 3)),
        (2, 5, 2, (1, 2)),  # one window, larger than the map
        (1, 3, 2, (1, 1)),
        (7, 5, 1, (2, 2)),
        (6, 1, 2, (0, 0)),  # the last window ends before the last row
    ],
)
def test_margins_by_hand(size: int, kernel_size: int, stride: int, margins: tuple[int, int]) -> None:
    assert same_margins(size, kernel_size, stride) == margins


@given(st.integers(1, 400), KERNELS, st.sampled_from([1, 2]))
def test_windows_cover_what_they_can_and_never_begin_or_end_in_padding_alone(
    size: int, kernel_size: int, stride: int
) -> None:
    before, after = same_margins(size, kernel_size, stride)
    assert after - before in (0, 1)  # the smaller half first
    windows = -(-size // stride)
    last_end = (windows - 1) * stride - before + kernel_size
    assert last_end == size + after or (before, after) == (0, 0)
    assert max(before, after) < kernel_size
    if stride == 1:
        assert before == after == kernel_size // 2  # so symmetric layers serve it


def by_definition(x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """Sum over taps of a map laid on zeros that reach far beyond it. (B, C, H, W), (O, C / groups, k, k)."""
    size, (batch, _, height, width) = weight.shape[-1], x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    canvas = x.new_zeros(batch, x.shape[1], height + 2 * size + stride, width + 2 * size + stride)
    canvas[:, :, size : size + height, size : size + width] = x
    top = size - max((rows - 1) * stride + size - height, 0) // 2
    left = size - max((columns - 1) * stride + size - width, 0) // 2
    out = x.new_zeros(batch, weight.shape[0], rows, columns)
    for i in range(size):
        for j in range(size):
            seen = canvas[:, :, top + i :: stride, left + j :: stride][:, :, :rows, :columns]
            tap = weight[:, :, i, j]
            out += seen * tap.view(1, -1, 1, 1) if groups > 1 else torch.einsum("bchw,oc->bohw", seen, tap)
    return out


def layer_of(channels: int, size: int, stride: int, depthwise: bool, generator: torch.Generator) -> ConvNorm:
    groups = channels if depthwise else 1
    layer = ConvNorm(channels, channels, size, stride=stride, groups=groups, activation="relu6", padding="same")
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(layer.norm, name).data.uniform_(0.5, 1.5, generator=generator)
    nn.init.normal_(layer.conv.weight, generator=generator)
    return layer


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, KERNELS, st.integers(1, 2), st.booleans(), st.sampled_from([torch.float32, torch.float64]))
def test_every_form_of_a_layer_computes_the_definition(
    height: int, width: int, size: int, stride: int, depthwise: bool, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(height * width)
    layer = layer_of(8, size, stride, depthwise, generator).to(dtype)
    x = torch.randn(3, 8, height, width, generator=generator, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    z = by_definition(x.double(), layer.conv.weight.detach().double(), stride, layer.conv.groups)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10

    def check(found: Tensor, norm: nn.BatchNorm2d) -> None:
        expected = ACTIVATIONS["relu6"](norm.double()(z), False)
        torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)

    torch.testing.assert_close(layer.conv(x).double(), z, rtol=tolerance, atol=tolerance)
    layer.eval()
    with torch.no_grad():
        evaluated, folded = layer(x), layer.fold()(x)
    unfolded = layer(x)
    for found in (evaluated, folded, unfolded):
        check(found, layer_norm_in(layer, training=False))
    if len(z) * z.shape[2] * z.shape[3] > 64:  # the statistics of few values amplify rounding
        check(layer.train()(x), layer_norm_in(layer, training=True))


def layer_norm_in(layer: ConvNorm, *, training: bool) -> nn.BatchNorm2d:
    """A copy of the layer's batch norm, in the given mode."""
    copy = nn.BatchNorm2d(layer.norm.num_features, eps=layer.norm.eps)
    copy.load_state_dict(layer.norm.state_dict())
    return copy.train(training)


def test_a_stride_of_one_keeps_the_symmetric_layer_and_its_kernel() -> None:
    layer = ConvNorm(8, 8, 5, groups=8, activation=None, padding="same")
    assert type(layer.conv) is nn.Conv2d
    assert layer.conv.padding == (2, 2)


def test_odd_maps_are_not_copied() -> None:
    x = torch.zeros(1, 2, 7, 9)
    assert pad(x, 5, 2, "same") == (x, 2)
    padded, margin = pad(x[:, :, :6], 5, 2, "same")
    assert (padded.shape, margin) == ((1, 2, 9, 13), 0)


def test_a_copy_and_a_folded_layer_keep_the_padding() -> None:
    layer = ConvNorm(8, 8, 3, stride=2, groups=8, activation=None, padding="same").eval()
    assert type(layer.fold().conv) is SameConv2d
