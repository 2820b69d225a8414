"""Inference kernels: what PyTorch computes in double precision, for any shape; and where they do not apply."""

from __future__ import annotations

import copy
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autonl_core.nn.blocks import inference
from autonl_core.nn.blocks.activation import ACTIVATIONS
from autonl_core.nn.blocks.conv import ConvNorm, SqueezeExcite
from autonl_core.nn.blocks.inference import Kernel, kernel_of, may_run_kernels, squeeze_excite_of
from autonl_core.nn.kernels.inference import pointwise
from autonl_core.nn.network import build_network
from autonl_core.spec.arch import Activation, Padding, SeGate
from autonl_core.spec.zoo import ZOO

SIZES = st.integers(1, 19)


def images(batch: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch + height)
    x = torch.randn(batch, channels, height, width, generator=generator) * 3
    return x.contiguous(memory_format=torch.channels_last)


def expected(x: Tensor, conv: nn.Conv2d, activation: Activation | None) -> Tensor:
    """In double precision."""
    z = copy.deepcopy(conv).double()(x.double())
    return z if activation is None else ACTIVATIONS[activation](z, False)


def compute(kernel: Kernel | None, x: Tensor) -> Tensor:
    assert kernel is not None
    return kernel.run(x)


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
    st.sampled_from(["symmetric", "same"]),
)
@torch.no_grad()
def test_any_1x1_or_depthwise_convolution_is_pytorch_s(
    batch: int,
    out: int,
    into: int,
    height: int,
    width: int,
    size: int,
    stride: int,
    depthwise: bool,
    activation: Activation | None,
    padding: Padding,
) -> None:
    into, groups, size, stride = (out, out, size, stride) if depthwise else (into, 1, 1, 1)
    layer = folded(into, out, size, stride, groups, activation, padding)
    x = images(batch, into, height, width)
    found = layer(x)
    assert layer._fast._made.kernel is not None
    assert_close(found, expected(x, layer.conv, activation))
    assert found.is_contiguous(memory_format=torch.channels_last)
    for same in (x.contiguous(), x.repeat_interleave(2, 3)[..., ::2]):  # whatever the layout that comes in
        assert torch.equal(layer(same), found)


@pytest.mark.parametrize("squeezed", [1, 6, 24])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
@torch.no_grad()
def test_squeeze_excite_scales_as_pytorch_s_operators_do(squeezed: int, gate: SeGate) -> None:
    layer, x = SqueezeExcite(40, squeezed, "swish", gate), images(3, 40, 9, 11)
    exact = layer.double()(x.double())
    assert_close(compute(squeeze_excite_of(layer.float().reduce, layer.expand, layer.activation, gate), x), exact)


@torch.no_grad()
def test_squeeze_excite_of_many_positions_loses_no_digits() -> None:
    layer, x = SqueezeExcite(8, 8), 1000 + images(2, 8, 150, 151)
    layer.reduce.weight.mul_(1e-3)
    exact = layer.double()(x.double())
    assert_close(compute(squeeze_excite_of(layer.float().reduce, layer.expand, "swish", "sigmoid"), x), exact)


@torch.no_grad()
def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x, before = images(2, 24, 30, 30), torch.get_num_threads()
    layers = [nn.Conv2d(24, 40, 1), nn.Conv2d(24, 24, 5, 1, 2, groups=24)]
    monkeypatch.setattr("autonl_core.nn.kernels.compiled._PARALLEL_ELEMENTS", 1)
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append([compute(kernel_of(layer, "swish"), x) for layer in layers])
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
        kernel = kernel_of(conv, activation)
        assert torch.allclose(compute(kernel, x), function(x, False), rtol=1e-6, atol=1e-6)
        assert compute(kernel, torch.full_like(x, torch.nan)).isnan().all()


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(8, 12, 1),  # no multiple of eight
        nn.Conv2d(8, 8, 1, bias=False),
        nn.Conv2d(8, 8, 3),  # no padding
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 8, 3, padding=1),  # dense
        nn.Conv2d(8, 8, 1, stride=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, padding_mode="reflect"),
    ],
)
def test_other_convolutions_are_left_to_pytorch(conv: nn.Conv2d) -> None:
    assert kernel_of(conv, None) is None


def folded(
    into: int = 8,
    out: int = 16,
    size: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: Activation | None = "swish",
    padding: Padding = "symmetric",
) -> Any:
    layer = ConvNorm(into, out, size, stride=stride, groups=groups, activation=activation, padding=padding)
    nn.init.normal_(layer.norm.bias)
    return layer.eval().fold().requires_grad_(False)


def test_kernels_run_on_plain_float32_without_gradients_only(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(1, 8, 4, 4)
    assert not may_run_kernels(x)
    with torch.no_grad():
        assert may_run_kernels(x)
        assert not may_run_kernels(x.double())
        assert not may_run_kernels(x.to("meta"))
        assert not may_run_kernels(torch.complex(x, x).conj().imag)
        with torch.autocast("cpu", torch.bfloat16):
            assert not may_run_kernels(x)
        monkeypatch.setattr(inference, "_kernels", lambda: None)
        assert not may_run_kernels(x)


@torch.inference_mode()
def test_weights_whose_changes_nothing_counts_are_left_to_pytorch() -> None:
    layer, x = folded(), images(1, 8, 4, 4)
    for factor in (1, 2):
        layer.conv.weight.mul_(factor)
        assert_close(layer(x), expected(x, layer.conv, "swish"))
    assert layer._fast._made.kernel is None


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@torch.no_grad()
def test_what_looks_on_sees_pytorch_s_operators() -> None:
    layer, x = folded(), images(2, 8, 4, 4)
    exact = expected(x, layer.conv, "swish")
    with FlopCounterMode(display=False) as counter:
        layer(x)
    assert counter.get_total_flops() == 2 * 2 * 16 * 8 * 16
    assert_close(torch.func.vmap(layer)(x.unsqueeze(1)).squeeze(1), exact)
    weights = {name: torch.stack([value, value]) for name, value in layer.state_dict().items()}
    assert_close(torch.func.vmap(lambda w: torch.func.functional_call(layer, w, (x,)))(weights)[1], exact)
    tangent = torch.func.jvp(layer, (x,), (torch.ones_like(x),))[1]
    assert tangent.abs().max() > 0
    assert_close(torch.jit.trace(layer, x)(2 * x), expected(2 * x, layer.conv, "swish"))
    assert_close(torch.export.export(layer, (x,)).module()(x), exact)


@torch.no_grad()
def test_maps_that_do_not_fit_are_refused_as_pytorch_refuses_them() -> None:
    layer = folded()
    layer(images(1, 8, 4, 4))
    for shape in ((1, 16, 4, 4), (1, 4, 4, 4), (8, 4)):
        with pytest.raises((RuntimeError, IndexError)):
            layer(torch.ones(shape))
    assert layer(torch.ones(0, 8, 4, 4)).shape == (0, 16, 4, 4)


@torch.no_grad()
def test_defaults_for_new_tensors_do_not_matter() -> None:
    layer, x = folded(), images(1, 8, 4, 4)
    found = layer(x)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            assert torch.equal(layer(x), found)
    finally:
        torch.set_default_dtype(torch.float32)


def test_threads_may_share_a_network_that_has_not_run_yet() -> None:
    network, x = build_network(ZOO["autonl_s"].arch, seed=0).eval().fuse(), images(1, 3, 32, 32)
    with torch.no_grad():
        exact = network.double()(x.double())
    network.float()
    together = threading.Barrier(4)

    def run(_: int) -> list[Tensor]:
        together.wait()
        with torch.no_grad():
            return [network(x) for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        found = [logits for several in pool.map(run, range(4)) for logits in several]
    assert_close(found[0], exact)
    assert all(torch.equal(one, found[0]) for one in found)


def test_where_nothing_can_be_cached_kernels_are_not_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.caching.FunctionCache.__init__", refuse)
    assert not pointwise.can_be_cached


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
