"""Weights of the PyTorch port: the same logits to the last bits, from every form they are saved in; nothing else."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from autonl_core.errors import CheckpointError
from autonl_core.nn.network import Network
from autonl_core.nn.weight_formats.pytorch_port import load_port_weights, port_arch
from autonl_core.nn.weights import load_weights
from autonl_core.spec.arch_string import decode, encode
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.reference_vectors import images, port_logits, port_state

SMALL = decode(
    "in32 | cn_k3_s2_c8 | ds_r1_k3_s1_c8 | ir_r1_k5_s2_e3_c16_se0.25_nl0.25-1 ir_r1_k3_s1_e3_c16 | cn_k1_s1_c24 | fc5"
)


def saved(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    return path


def small_state() -> dict[str, Tensor]:
    """A state dict for SMALL under the port's names, random."""
    from autonl_core.nn.network import build_network
    from autonl_core.nn.weight_formats.pytorch_port import port_names

    names = dict(port_names(SMALL))
    return {names[key]: torch.rand_like(value.float()) for key, value in build_network(SMALL).state_dict().items()}


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def logits(network: Network, size: int = 224, batch: int = 2) -> Tensor:
    return network(images(batch, size).to(next(network.parameters()).dtype))


@pytest.mark.parametrize("name", ["autonl_s", "autonl_l"])
def test_logits_equal_the_reference_vectors(name: str, tmp_path: Path) -> None:
    network = load_port_weights(saved(tmp_path, port_state(name)), ZOO[name].arch)
    expected = port_logits(name)
    assert relative_error(logits(network), expected) < 1e-4
    assert relative_error(logits(network.fuse()), expected) < 1e-4
    double = network.double()
    assert relative_error(logits(double), expected) < 1e-9
    assert relative_error(logits(double.fuse()), expected) < 1e-9


@pytest.mark.parametrize(("size", "batch"), [(96, 1), (127, 3), pytest.param(160, 5, marks=pytest.mark.long)])
def test_other_sizes_and_batches_agree_in_both_precisions(size: int, batch: int, tmp_path: Path) -> None:
    for name in ("autonl_s", "autonl_l"):
        network = load_port_weights(saved(tmp_path, port_state(name)), ZOO[name].arch)
        single = logits(network, size, batch)
        assert relative_error(single, logits(network.double(), size, batch)) < 1e-4


def test_the_divisor_is_the_port_s_and_stays_with_the_architecture(tmp_path: Path) -> None:
    network = load_port_weights(saved(tmp_path, port_state("autonl_s")), ZOO["autonl_s"].arch)
    assert network.arch == port_arch(ZOO["autonl_s"].arch) != ZOO["autonl_s"].arch
    assert "_nl0.25-1a" in encode(network.arch)
    assert decode(encode(network.arch)) == network.arch
    other = Network(ZOO["autonl_s"].arch).eval()
    other.load_state_dict(network.state_dict())
    assert relative_error(logits(other), port_logits("autonl_s")) > 1e-3  # not interchangeable: ten times the tolerance


def test_every_form_of_file_gives_the_same_weights(tmp_path: Path) -> None:
    state = small_state()
    plain = load_port_weights(saved(tmp_path, state), SMALL).state_dict()
    prefixed = OrderedDict((f"module.{key}", value) for key, value in state.items())
    for content in (prefixed, {"model": state, "last_epoch": 3}, {"model": prefixed, "ema": None}):
        found = load_port_weights(saved(tmp_path, content), SMALL).state_dict()
        assert all(torch.equal(found[key], plain[key]) for key in plain)


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    state = small_state()
    shadow = {key: value + 1 for key, value in state.items() if not key.endswith("num_batches_tracked")}
    checkpoint = {"model": {f"module.{k}": v for k, v in state.items()}, "ema": {"shadow": shadow, "info": {}}}
    network = load_port_weights(saved(tmp_path, checkpoint), SMALL)
    assert torch.equal(network.classifier.bias, state["classifier.1.bias"] + 1)
    assert torch.equal(network.stem.conv.weight, state["features.0.0.weight"] + 1)


def test_files_of_old_versions_without_counters_are_fine(tmp_path: Path) -> None:
    state = {key: value for key, value in small_state().items() if not key.endswith("num_batches_tracked")}
    network = load_port_weights(saved(tmp_path, state), SMALL)
    assert torch.equal(network.state_dict()["head.norm.running_var"], state["features.4.1.running_var"])


def test_another_class_count_is_one_argument(tmp_path: Path) -> None:
    path = saved(tmp_path, small_state())
    whole, first, again = (
        load_port_weights(path, SMALL),
        *(load_weights(path, SMALL, num_classes=7, seed=3) for _ in range(2)),
    )
    assert first.classifier.weight.shape == (7, 24)
    assert first.arch == replace(whole.arch, num_classes=7)
    assert torch.equal(first.head.conv.weight, whole.head.conv.weight)
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not first.classifier.bias.any()


def test_all_that_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    state = small_state()
    del state["features.0.0.weight"]
    state["stranger"] = torch.zeros(1)
    state["classifier.1.bias"] = torch.zeros(6)
    with pytest.raises(CheckpointError) as refused:
        load_port_weights(saved(tmp_path, state), SMALL)
    for part in ("missing features.0.0.weight", "unexpected stranger", "classifier.1.bias has shape (6,)"):
        assert part in str(refused.value)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    target = tmp_path / "was run"
    advice = r'reading it would run code; .* save \{"model": c\["model"\], "ema": c\["ema"\]\}'
    with pytest.raises(CheckpointError, match=advice):
        load_port_weights(saved(tmp_path, {"model": small_state(), "meters": Malicious(target)}), SMALL)
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"model": 3},
        {"a": 1, "b": "text"},
        {1: torch.zeros(1)},
        {"model": {}, "ema": [1]},
        {"x": torch.zeros(1), "module.x": torch.zeros(1)},
        {"x": torch.zeros(1, device="meta")},
        {"x": torch.zeros(1, dtype=torch.complex64)},
    ],
)
def test_what_is_no_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        load_port_weights(saved(tmp_path, content), SMALL)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a readable PyTorch file"):
        load_port_weights(tmp_path / "missing.pt", SMALL)
    cut = saved(tmp_path, small_state())
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(CheckpointError):
        load_port_weights(cut, SMALL)
    for damaged in (b"", b"\x80\x02.", b"\x80\x02X\xff", b"\x80\x02h\x05.", b"PK\x03\x04"):
        cut.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_port_weights(cut, SMALL)
