"""model.py, the file shipped in bundles, computes the same as the package's own blocks, with the same tensor names."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from autonl_core.bundle.files import model
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.network import build_network
from autonl_core.spec.arch import ArchSpec, LightNLSpec
from autonl_core.spec.zoo import ZOO, adapt
from tests.autonl_core.bundle.small_bundle import lively, plain
from tests.autonl_core.sample_architectures import arch_specs, block, network


def images(arch: ArchSpec, size: int | None = None) -> torch.Tensor:
    size = size or min(arch.resolution, 40)
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.long
@given(arch_specs())
@settings(max_examples=12)
def test_any_architecture_has_the_same_tensors_and_gives_the_same_logits(arch: ArchSpec) -> None:
    ours = lively(arch).double()
    theirs = plain(lively(arch)).double()
    assert {k: v.shape for k, v in theirs.state_dict().items()} == {k: v.shape for k, v in ours.state_dict().items()}
    x = images(arch)
    expected = ours(x)
    torch.testing.assert_close(theirs(x), expected, rtol=1e-9, atol=1e-9)  # in double precision: only order differs
    torch.testing.assert_close(model.fuse(theirs)(x), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.fuse()(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("name", list(ZOO))
def test_the_published_networks_give_the_same_logits(name: str) -> None:
    arch = adapt(ZOO[name].arch, resolution=33, num_classes=7)
    x = images(arch, 33)
    torch.testing.assert_close(plain(lively(arch)).double()(x), lively(arch).double()(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activation", ["swish", "relu", "relu6", "hard_swish"])
def test_convolutions_batch_norms_and_activations_are_the_same_bit_for_bit(activation: Any) -> None:
    arch = network(
        block(16, 16, activation=activation),
        block(16, 24, stride=2, kernel_size=5, activation=activation),
        block(24, 24, expand_ratio=1, activation=activation),
    )
    x = images(arch).float().contiguous(memory_format=torch.channels_last)
    with torch.enable_grad():  # without, ours folds batch norms on the way
        ours = lively(arch)(x)
    theirs = plain(lively(arch)).to(memory_format=torch.channels_last)(x)  # type: ignore[call-overload]
    assert torch.equal(theirs, ours)


@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from([(8, 8), (4, 16), (2, 2)]),
    st.sampled_from([(4, 0.25), (8, 0.5), (32, 0.25)]),
    st.integers(1, 3),
)
def test_light_nl_is_the_same_bit_for_bit_in_both_orders_of_its_products(
    seed: int, size: tuple[int, int], width: tuple[int, float], nl_stride: int
) -> None:
    """On small whole numbers, and divided by a power of two, floating point makes no error in any order."""
    (channels, nl_ratio), generator = width, torch.Generator().manual_seed(seed)
    ours = LightNL(channels, LightNLSpec(nl_ratio, nl_stride))
    theirs = model.LightNL(channels, nl_ratio, nl_stride, "positions")
    ours.depthwise.weight.data = torch.randint(-3, 4, ours.depthwise.weight.shape, generator=generator).float()
    theirs.depthwise.weight.data = ours.depthwise.weight.data
    ours.norm, theirs.norm = torch.nn.Identity(), torch.nn.Identity()  # type: ignore[assignment]
    x = torch.randint(-3, 4, (2, channels, *size), generator=generator).float()
    y = torch.einsum(
        "bchw,bcr,bdr->bdhw",
        x[:, : ours.compact_channels],
        x[:, : ours.compact_channels, ::nl_stride, ::nl_stride].flatten(2),
        x[:, :, ::nl_stride, ::nl_stride].flatten(2),
    )  # the equation itself
    expected = x + ours.depthwise(y / (size[0] * size[1]))
    assert torch.equal(theirs(x), expected)


class TestLoad:
    def test_a_file_written_by_safetensors_is_read_without_that_package(self, tmp_path: Path) -> None:
        arch = network(block(8, 8, se_ratio=0.25, light_nl=LightNLSpec(0.25, 1)))
        ours = build_network(arch, seed=3).eval()
        save_file({k: v.contiguous() for k, v in ours.state_dict().items()}, tmp_path / "weights", {"who": "we"})
        (tmp_path / "arch").write_text(json.dumps(arch.to_json()))
        read = model.load(tmp_path / "arch", tmp_path / "weights")
        assert not read.training
        assert read.state_dict().keys() == ours.state_dict().keys()
        for name, value in ours.state_dict().items():
            assert torch.equal(read.state_dict()[name], value)
            assert read.state_dict()[name].dtype == value.dtype

    @pytest.mark.parametrize("dtype", list(model.DTYPES.values()))
    def test_numbers_of_every_kind(self, dtype: torch.dtype, tmp_path: Path) -> None:
        tensors = {"a": torch.arange(6).reshape(2, 3).to(dtype), "none": torch.empty(0, 4, dtype=dtype)}
        save_file(tensors, tmp_path / "numbers")
        read = model.read_safetensors(tmp_path / "numbers")
        assert read.keys() == tensors.keys()
        assert all(torch.equal(read[name], tensors[name]) for name in tensors)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x00" * 8,
            struct.pack("<Q", 2**63) + b"{}",
            struct.pack("<Q", 50) + b"{}",
            struct.pack("<Q", 2) + b"[]",
            struct.pack("<Q", 9) + b'{"a": 17}',
            struct.pack("<Q", 8) + b"not json",
            struct.pack("<Q", 57) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4000]}}',
            struct.pack("<Q", 57) + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,   4]}}' + b"0000",
            struct.pack("<Q", 57) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,  0]}}' + b"0000",
            struct.pack("<Q", 57) + b'{"a":{"dtype":"X99","shape":[1],"data_offsets":[0,   4]}}' + b"0000",
        ],
    )
    def test_any_other_content_is_refused(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ValueError, match=r"safetensors|JSON|Expecting|outside"):
            model.read_safetensors(tmp_path / "bad")
