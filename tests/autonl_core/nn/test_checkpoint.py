"""Checkpoints: one file that says everything, and refuses to be something else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from autonl_core.data.prepare import PreparedData, prepare
from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import CheckpointError
from autonl_core.nn.checkpoint import load_checkpoint, save_checkpoint, weights_sha256
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.macs import count_macs
from autonl_core.spec.space_families import get_space


@pytest.fixture
def data(cache: Path) -> PreparedData:
    return prepare(DIGITS, 8, cache)


@pytest.fixture
def network() -> Network:
    return build_network(get_space("tiny", 8, 10).largest(), seed=0).eval()


@pytest.fixture
def written(tmp_path: Path, network: Network, data: PreparedData) -> Path:
    save_checkpoint(tmp_path / "model.safetensors", network, DIGITS, data)
    return tmp_path / "model.safetensors"


def test_the_network_read_back_computes_the_same_logits(written: Path, network: Network) -> None:
    loaded = load_checkpoint(written)
    x = torch.randn(4, 3, 8, 8)
    assert torch.equal(loaded.network(x), network(x))
    assert not loaded.network.training
    assert weights_sha256(loaded.network.state_dict()) == weights_sha256(network.state_dict())


def test_the_file_alone_tells_how_to_use_it(written: Path, network: Network, data: PreparedData) -> None:
    loaded = load_checkpoint(written)
    assert loaded.arch == network.arch
    assert loaded.classes == DIGITS.classes
    assert (loaded.mean, loaded.std) == (data.mean, data.std)
    assert loaded.dataset_fingerprint == DIGITS.fingerprint
    with safe_open(written, framework="pt") as file:
        metadata = file.metadata()
    assert int(metadata["macs"]) == count_macs(network.arch).total
    assert "multiply-adds" in metadata["macs_rule"]
    assert json.loads(metadata["preprocessing"])["resolution"] == 8


@pytest.mark.parametrize("grey_range", [None, (7600.0, 8400.5)])
def test_the_range_of_deep_images_is_kept(
    tmp_path: Path, network: Network, data: PreparedData, grey_range: tuple[float, float] | None
) -> None:
    path = tmp_path / "deep.safetensors"
    save_checkpoint(path, network, DIGITS, replace(data, grey_range=grey_range))
    assert load_checkpoint(path).grey_range == grey_range
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    earlier = json.loads(metadata["preprocessing"])
    del earlier["grey_range"]  # as a version without ranges wrote it
    save_file(tensors, path, metadata | {"preprocessing": json.dumps(earlier)})
    assert load_checkpoint(path).grey_range is None


def test_a_fused_network_is_not_written(tmp_path: Path, network: Network, data: PreparedData) -> None:
    with pytest.raises(CheckpointError, match="save the network that it was made from"):
        save_checkpoint(tmp_path / "fused.safetensors", network.fuse(), DIGITS, data)
    assert list(tmp_path.glob("*.safetensors")) == []


def test_one_changed_weight_changes_the_hash(network: Network) -> None:
    before = weights_sha256(network.state_dict())
    with torch.no_grad():
        network.classifier.bias[3] += 1e-7
    assert weights_sha256(network.state_dict()) != before


def test_all_tensors_that_do_not_fit_are_listed(written: Path, tmp_path: Path) -> None:
    with safe_open(written, framework="pt") as file:
        metadata, names = file.metadata(), list(file.keys())
        tensors = {name: file.get_tensor(name) for name in names}
    del tensors["stem.conv.weight"]
    tensors["stranger"] = torch.zeros(1)
    tensors["classifier.bias"] = torch.zeros(11)
    save_file(tensors, tmp_path / "bad.safetensors", metadata)
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(tmp_path / "bad.safetensors")
    for part in ("missing stem.conv.weight", "unexpected stranger", "classifier.bias has shape (11,)"):
        assert part in str(refused.value)


def test_other_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    pickled = tmp_path / "pickled.pt"
    torch.save({"w": torch.zeros(1)}, pickled)
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
        load_checkpoint(pickled)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(1)}, foreign)
    with pytest.raises(CheckpointError, match="format None"):
        load_checkpoint(foreign)
    with pytest.raises(CheckpointError, match="missing"):
        load_checkpoint(tmp_path / "missing")
