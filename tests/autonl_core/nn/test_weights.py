"""What users of `load_weights` rely on, for every weight format in the registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from autonl_core.data.prepare import prepare
from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import CheckpointError
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.weight_file import WeightFile
from autonl_core.nn.weight_formats.efficientnet_lite import lite_names
from autonl_core.nn.weight_formats.pytorch_port import port_names
from autonl_core.nn.weights import WEIGHT_FORMATS, load_weights
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.published_net import adapt

ARCH = decode("in8 | cn_k3_s1_c8 | ds_r1_k3_s1_c8 | ir_r1_k5_s2_e3_c16_se0.25 ir_r1_k3_s1_e3_c16 | cn_k1_s1_c24 | fc10")
# Of formats whose files cannot hold ARCH.
OTHER_ARCHS = {
    "efficientnet-lite": decode(
        "in8 | cn_k3_s1_c8_same_nr6 | ds_r1_k3_s1_c8 | ir_r1_k5_s2_e3_c16 ir_r1_k3_s1_e3_c16 | cn_k1_s1_c24 | fc10"
    )
}
pytestmark = pytest.mark.parametrize("name", WEIGHT_FORMATS.names())


def save_safetensors(path: Path, network: Network, cache: Path) -> None:
    save_checkpoint(path, network, DIGITS, prepare(DIGITS, 8, cache))


def save_port(path: Path, network: Network, cache: Path) -> None:
    names = dict(port_names(network.arch))
    torch.save({names[key]: value for key, value in network.state_dict().items() if key in names}, path)


def save_lite(path: Path, network: Network, cache: Path) -> None:
    names = dict(lite_names(network.arch))
    torch.save({names[key]: value for key, value in network.state_dict().items()}, path)


# How to write a file of each format: a new format has to bring one.
WRITERS: dict[str, Callable[[Path, Network, Path], None]] = {
    "efficientnet-lite": save_lite,
    "pytorch-port": save_port,
    "safetensors": save_safetensors,
}


def arch_of(name: str) -> ArchSpec:
    return OTHER_ARCHS.get(name, ARCH)


def written(name: str, tmp_path: Path, cache: Path) -> tuple[Path, Network]:
    """A file of the format `name`, and the network whose weights it holds."""
    network = build_network(arch_of(name), seed=1).eval()
    path = tmp_path / "weights"
    WRITERS[name](path, network, cache)
    return path, network


def test_only_its_own_format_recognises_a_file(name: str, tmp_path: Path, cache: Path) -> None:
    path, _ = written(name, tmp_path, cache)
    assert [member.name for member in WEIGHT_FORMATS.members() if member.recognises(WeightFile(path))] == [name]


@torch.no_grad()
def test_the_network_computes_what_the_saved_one_does(name: str, tmp_path: Path, cache: Path) -> None:
    path, network = written(name, tmp_path, cache)
    loaded = load_weights(path, arch_of(name))
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not loaded.training
    assert torch.equal(loaded(x), network(x))


def test_a_fresh_classifier_leaves_all_other_weights(name: str, tmp_path: Path, cache: Path) -> None:
    path, network = written(name, tmp_path, cache)
    arch = arch_of(name)
    one, same, other = (load_weights(path, arch, num_classes=3, seed=seed).state_dict() for seed in (5, 5, 6))
    assert one["classifier.weight"].shape == (3, 24)
    assert torch.equal(one["classifier.weight"], same["classifier.weight"])
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])
    kept = [key for key in network.state_dict() if not key.startswith("classifier.")]
    assert all(torch.equal(one[key], network.state_dict()[key]) for key in kept)


def test_weights_of_another_architecture_are_refused(name: str, tmp_path: Path, cache: Path) -> None:
    path, _ = written(name, tmp_path, cache)
    with pytest.raises(CheckpointError, match=str(path)):
        load_weights(path, adapt(arch_of(name), num_classes=11))


@pytest.mark.parametrize("kept_share", [0.1, 0.9])
def test_a_damaged_file_is_refused(name: str, kept_share: float, tmp_path: Path, cache: Path) -> None:
    path, _ = written(name, tmp_path, cache)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept_share * len(content))])
    with pytest.raises(CheckpointError, match=str(path)):
        load_weights(path, arch_of(name))


def test_a_file_of_no_format_is_answered_with_the_known_ones(name: str, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("not weights")
    with pytest.raises(
        CheckpointError, match=f"no known format; known are .*{name}: {WEIGHT_FORMATS.get(name).summary}"
    ):
        load_weights(tmp_path / "weights", ARCH)


def test_a_state_dict_of_no_format_is_answered_with_its_names(name: str, tmp_path: Path) -> None:
    torch.save({"layer1.0.weight": torch.zeros(1), "layer1.0.bias": torch.zeros(1)}, tmp_path / "weights")
    with pytest.raises(
        CheckpointError, match=rf"\(its tensors are called layer1.0.weight, layer1.0.bias, ...\); known are .*{name}: "
    ):
        load_weights(tmp_path / "weights", arch_of(name))
