"""The file that a search leaves to later ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from autonl_core.errors import CheckpointError
from autonl_core.nn.network import build_network
from autonl_core.run.adapted import Adapted
from autonl_core.run.kept_supernet import KeptSupernet
from autonl_core.spec.published_net import adapt
from autonl_core.spec.space_families import SPACES
from autonl_core.spec.zoo import ZOO
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.supernet import Supernet

LARGE, SMALL = 96, 64  # pixels: maps of 3 x 3 and of 2 x 2 at the end, with kernels of 5 and of 3


def supernet(space: str = "tiny", resolution: int = 8, classes: int = 10, seed: int = 0) -> Supernet:
    return Supernet(GateTable(SPACES.get(space).bind(resolution, classes)), seed=seed)


def chances(net: Supernet) -> list[float]:
    """How likely gates are open: of each another number."""
    return [(place + 1) / (len(net.table.gates) + 1) for place in range(len(net.table.gates))]


def test_a_file_gives_back_every_weight(tmp_path: Path) -> None:
    net = supernet()
    arch = adapt(ZOO["efficientnet_lite0"].arch, resolution=64, num_classes=10)
    teacher = build_network(arch, seed=1)
    kept = KeptSupernet.of(net.state_dict(), chances(net), net.table, Adapted(teacher, 64, 91.5))
    kept.save(tmp_path / "supernet.safetensors")
    read = KeptSupernet.load(tmp_path / "supernet.safetensors")
    assert read.teacher is not None
    assert (read.space, read.num_classes, read.teacher.arch, read.teacher.val_top1_pct) == ("tiny", 10, arch, 91.5)
    for ours, theirs in ((net.state_dict(), read.weights), (teacher.state_dict(), read.teacher.weights)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert read.probabilities(net.table) == tuple(chances(net))
    assert kept.size_bytes == read.size_bytes
    assert 0 < (tmp_path / "supernet.safetensors").stat().st_size - kept.size_bytes < 100_000


def test_a_supernet_of_the_same_space_goes_on_with_the_same_function(tmp_path: Path) -> None:
    net, other = supernet(seed=1), supernet(seed=2)
    KeptSupernet.of(net.state_dict(), chances(net), net.table, None).start(other)
    x, gates = torch.randn(4, 3, 8, 8), torch.rand(len(net.table.gates))
    assert torch.equal(net.forward_gated(x, gates), other.forward_gated(x, gates))


def test_at_another_resolution_kernels_lose_or_gain_a_rim() -> None:
    sizes = {}
    for resolution, other in ((LARGE, SMALL), (SMALL, LARGE)):
        source, target = supernet("lite", resolution, seed=1), supernet("lite", other, seed=2)
        kept = KeptSupernet.of(source.state_dict(), chances(source), source.table, None)
        kept.start(target)
        given, found = source.state_dict(), target.state_dict()
        for name, value in found.items():
            if value.shape == given[name].shape:
                assert torch.equal(value, given[name])
                continue
            large, small = sorted((value, given[name]), key=lambda kernel: -kernel.shape[-1])
            assert (large.shape[-1], small.shape[-1]) == (5, 3)
            assert torch.equal(large[..., 1:-1, 1:-1], small)
            sizes[resolution] = value.shape[-1]
            if value is large:
                assert value.sum() == pytest.approx(float(small.sum()), abs=1e-4)  # the rim is zero
        by_name = {(gate.position, gate.name): p for gate, p in zip(source.table.gates, chances(source), strict=True)}
        expected = [by_name.get((gate.position, gate.name), 0.5) for gate in target.table.gates]
        assert kept.probabilities(target.table) == tuple(expected)
    assert sizes == {LARGE: 3, SMALL: 5}


def test_a_file_of_an_earlier_version_has_no_gates() -> None:
    net = supernet()
    assert KeptSupernet("tiny", 10, net.state_dict()).probabilities(net.table) is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (supernet(classes=9), "is of 'tiny' with 10 classes, and the search is in 'tiny' with 9"),
        (supernet("mobile-32", 32), "is of 'tiny' with 10 classes, and the search is in 'mobile-32' with 10"),
    ],
)
def test_another_space_or_other_classes_are_refused(other: Supernet, message: str) -> None:
    net = supernet()
    with pytest.raises(CheckpointError, match=message):
        KeptSupernet.of(net.state_dict(), chances(net), net.table, None).start(other)


def test_weights_that_the_space_does_not_have_are_named() -> None:
    net = supernet()
    weights = {name: value for name, value in net.state_dict().items() if name != "classifier.bias"}
    with pytest.raises(CheckpointError, match=r"one of both lacks classifier\.bias"):
        KeptSupernet("tiny", 10, weights).start(supernet())


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"format": "autonl/1"})
    with pytest.raises(CheckpointError, match="has format 'autonl/1'; this version reads 'autonl-supernet/1'"):
        KeptSupernet.load(path)
    path.write_bytes(b"no file of tensors")
    with pytest.raises(CheckpointError, match="is not a readable supernet"):
        KeptSupernet.load(path)
