"""Inference kernels: what PyTorch computes in double precision, for any shape; and where they do not apply."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autonl_core.nn.blocks import inference
from autonl_core.nn.blocks.conv import ACTIVATIONS, ConvNorm, SqueezeExcite
from autonl_core.nn.blocks.inference import kernel_of, mean_of_positions, runs_inference_kernels, squeeze_excite_of
from autonl_core.nn.kernels import compiled
from autonl_core.spec.arch import Activation, SeGate

SIZES = st.integers(1, 19)


def images(batch: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch + height)
    x = torch.randn(batch, channels, height, width, generator=generator) * 3
    return x.contiguous(memory_format=torch.channels_last)


def expected(x: Tensor, conv: nn.Conv2d, activation: Activation | None) -> Tensor:
    """In double precision."""
    z = copy.deepcopy(conv).double()(x.double())
    return z if activation is None else ACTIVATIONS[activation](z, False)


def assert_close(found: Tensor, exact: Tensor) -> None:
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() <= 1e-5 * (1 + exact.abs().max())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from([8, 16, 24, 40, 72]),
    st.integers(1, 33),
    SIZES,
    SIZES,
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from([None, *ACTIVATIONS]),
)
@torch.no_grad()
def test_any_convolution_is_pytorch_s(
    batch: int,
    out: int,
    into: int,
    height: int,
    width: int,
    size: int,
    stride: int,
    depthwise: bool,
    activation: Activation | None,
) -> None:
    into, groups = (out, out) if depthwise else (into, 1)
    conv = nn.Conv2d(into, out, size, stride, size // 2, groups=groups)
    run = kernel_of(conv, activation)
    assert run is not None
    x = images(batch, into, height, width)
    found = run(x)
    assert_close(found, expected(x, conv, activation))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(run(x.contiguous()), found)  # whatever the layout that comes in


@pytest.mark.parametrize("squeezed", [1, 6, 24])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
@torch.no_grad()
def test_squeeze_excite_scales_as_pytorch_s_operators_do(squeezed: int, gate: SeGate) -> None:
    layer, x = SqueezeExcite(40, squeezed, "swish", gate), images(3, 40, 9, 11)
    exact = layer.double()(x.double())
    run = squeeze_excite_of(layer.float().reduce, layer.expand, layer.activation, gate)
    assert run is not None
    assert_close(run(x), exact)


@torch.no_grad()
def test_the_mean_of_many_positions_loses_no_digits() -> None:
    x = 1000 + images(2, 8, 150, 151)
    assert (mean_of_positions(x) - x.double().mean((2, 3))).abs().max() < 1e-3


@torch.no_grad()
def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x, before = images(2, 24, 30, 30), torch.get_num_threads()
    layers = [nn.Conv2d(24, 40, 1), nn.Conv2d(24, 24, 5, 1, 2, groups=24), nn.Conv2d(24, 8, 3, 2, 1)]
    monkeypatch.setattr(compiled, "_PARALLEL_ELEMENTS", 1)
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append([kernel_of(layer, "swish")(x) for layer in layers])  # type: ignore[misc]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


@torch.no_grad()
def test_nan_and_large_values_pass_as_they_do_in_pytorch() -> None:
    conv = nn.Conv2d(8, 8, 1)
    conv.weight.copy_(torch.eye(8).view(8, 8, 1, 1))
    conv.bias = nn.Parameter(torch.zeros(8))
    x = torch.tensor([-1e30, -200.0, -1.0, -0.0, 1.0, 200.0, 1e30, 3.0]).view(1, 8, 1, 1)
    for activation, function in ACTIVATIONS.items():
        run = kernel_of(conv, activation)
        assert run is not None
        assert torch.allclose(run(x), function(x, False), rtol=1e-6, atol=1e-6)
        assert run(torch.full_like(x, torch.nan)).isnan().all()


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(8, 12, 1),  # no multiple of eight
        nn.Conv2d(8, 8, 1, bias=False),
        nn.Conv2d(8, 8, 3),  # no padding
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 8, 1).double(),
        nn.Conv2d(8, 8, 1, device="meta"),
    ],
)
def test_other_convolutions_are_left_to_pytorch(conv: nn.Conv2d) -> None:
    assert kernel_of(conv, None) is None


def folded() -> Any:
    return ConvNorm(8, 16, 1, activation="swish").eval().fold().requires_grad_(False)


def test_kernels_run_without_gradients_and_unwatched_only(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(1, 8, 4, 4)
    assert not runs_inference_kernels(x)
    with torch.no_grad():
        assert runs_inference_kernels(x)
        assert not runs_inference_kernels(x.double())
        assert not runs_inference_kernels(x[:0])
        with torch.autocast("cpu", torch.bfloat16):
            assert not runs_inference_kernels(x)
        with FlopCounterMode(display=False) as counter:
            folded()(x)
        assert counter.get_total_flops() == 2 * 16 * 8 * 16
        monkeypatch.setattr(inference, "_has_numba", lambda: False)
        assert not runs_inference_kernels(x)


@torch.no_grad()
def test_weights_that_change_are_packed_again() -> None:
    layer, x = folded(), images(1, 8, 4, 4)
    layer(x)
    layer.conv.weight.mul_(2)
    assert_close(layer(x), expected(x, layer.conv, "swish"))
    with torch.inference_mode():
        layer.conv.weight.mul_(2)
    assert_close(layer(x), expected(x, layer.conv, "swish"))
    layer.load_state_dict({name: 3 * value for name, value in layer.state_dict().items()})
    assert_close(layer(x), expected(x, layer.conv, "swish"))
    layer.conv.bias = nn.Parameter(torch.ones(16), requires_grad=False)
    assert_close(layer(x), expected(x, layer.conv, "swish"))
    assert layer.double()(x.double()).dtype == torch.float64


@torch.no_grad()
def test_copies_and_saved_layers_pack_for_themselves() -> None:
    layer, x = folded(), images(1, 8, 4, 4)
    found, file = layer(x), io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), found)
        other.conv.weight.zero_()
        assert_close(other(x), F.silu(other.conv.bias.double()).view(1, 16, 1, 1).expand(1, 16, 4, 4))
    assert torch.equal(layer(x), found)
