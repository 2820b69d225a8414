"""The graph of a network can be made before its weights: the files are the same, and never hold unknown weights."""

from __future__ import annotations

import io
from pathlib import Path

import onnxruntime
import pytest
import torch

from autonl_core.bundle.formats import prepare_graph
from autonl_core.export.formats.onnx import convert, save_onnx
from autonl_core.export.formats.pt2 import save_pt2
from autonl_core.export.graph import NetworkGraph
from autonl_core.export.tracing import trace
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.space_families import get_space
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.bundle.small_bundle import filled_graph, plain

ARCHITECTURES = {  # LightNL and squeeze-excite; a hidden layer, hard Swish, and equal biases in many layers
    "tiny": get_space("tiny", 8, 10).largest(),
    "mobilenet_v3_large": ZOO["mobilenet_v3_large"].arch,
}


def files(graph: NetworkGraph, folder: Path) -> tuple[bytes, bytes]:
    save_onnx(folder / "network.onnx", graph, {"classes": ["a"]})
    save_pt2(folder / "network.pt2", graph.program)
    return (folder / "network.onnx").read_bytes(), (folder / "network.pt2").read_bytes()


def assert_computes_as(network: Network, path: Path) -> None:
    session = onnxruntime.InferenceSession(path)
    images = torch.randn(2, 3, network.arch.resolution, network.arch.resolution)
    logits = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    torch.testing.assert_close(logits, plain(network)(images), rtol=1e-3, atol=1e-4)


def trained(arch: ArchSpec) -> Network:
    return build_network(arch, seed=0).eval()


@pytest.mark.parametrize(
    "arch",
    ARCHITECTURES.values(),
    ids=ARCHITECTURES,
)
@pytest.mark.long
def test_a_graph_serves_one_network_after_the_other(arch: ArchSpec, tmp_path: Path) -> None:
    """Weights leave no trace, neither the unknown ones nor those of another network."""
    graph = filled_graph(build_network(arch, seed=1).eval())
    files(graph, tmp_path)
    network = trained(arch)
    graph.fill(filled_graph(network).network.state_dict())
    assert files(graph, tmp_path) == files(filled_graph(network), tmp_path)
    assert_computes_as(network, tmp_path / "network.onnx")


@pytest.mark.long
def test_the_program_is_that_of_the_network_traced_with_its_weights() -> None:
    network = trained(ARCHITECTURES["tiny"])
    saved = []
    for program in (filled_graph(network).program, trace(filled_graph(network).network, 8)):
        torch.export.save(program, buffer := io.BytesIO())
        saved.append(buffer.getvalue())
    assert saved[0] == saved[1]
    images = torch.randn(3, 3, 8, 8)
    logits = filled_graph(network).program.module()(images)
    torch.testing.assert_close(logits, plain(network)(images), rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_without_weights_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown or not finite"):
        save_onnx(tmp_path / "network.onnx", prepare_graph(ARCHITECTURES["tiny"].to_json(), ()), {})
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_what_was_computed_from_unknown_weights_is_made_again(tmp_path: Path) -> None:
    network = trained(ARCHITECTURES["tiny"])
    graph = filled_graph(network)
    of_unknown = convert(prepare_graph(network.arch.to_json(), ()).program)
    graph._converted[convert] = of_unknown
    files(graph, tmp_path)
    assert_computes_as(network, tmp_path / "network.onnx")
