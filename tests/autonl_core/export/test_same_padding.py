"""EfficientNet-Lite0 in every form that is saved or exported: the reference's logits, and the MACs of the formula."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from autonl_core.bundle.files import model
from autonl_core.bundle.onnx_macs import count_onnx_macs
from autonl_core.data.prepare import prepare
from autonl_core.datasets.spec import DIGITS
from autonl_core.export.formats.onnx import save_onnx
from autonl_core.export.formats.onnx_int8 import quantise
from autonl_core.export.formats.pt2 import save_pt2
from autonl_core.export.formats.torchscript import save_torchscript
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.profile import count_live_macs
from autonl_core.nn.weights import load_weights
from autonl_core.spec.macs import count_macs
from autonl_core.spec.zoo import ZOO, adapt
from tests.autonl_core.bundle.small_bundle import filled_graph
from tests.autonl_core.plain_efficientnet_lite import package_file, plain_logits
from tests.autonl_core.reference_vectors import images, lite0_logits

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
SEEDS = {224: 1, 160: 2, 75: 3, 64: 4}


def expected_logits(resolution: int) -> Tensor:
    """The reference's, or plain operators' where it has none."""
    seed = SEEDS[resolution]
    if resolution in (224, 160):
        return lite0_logits(resolution, seed)
    state = torch.load(package_file(0), weights_only=True)
    return plain_logits(0, state, images(2, resolution, seed).double())


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found.double() - expected).abs().max() < 1e-4 * expected.abs().max()


def lite0(resolution: int) -> Network:
    return load_weights(package_file(0), adapt(ZOO["efficientnet_lite0"].arch, resolution=resolution))


@pytest.mark.parametrize("resolution", [pytest.param(224, marks=pytest.mark.long), 75])
@torch.no_grad()
def test_a_checkpoint_of_ours_and_model_py_keep_the_network(resolution: int, tmp_path: Path, cache: Path) -> None:
    network, x = lite0(resolution), images(2, resolution, SEEDS[resolution])
    expected = expected_logits(resolution)
    save_checkpoint(tmp_path / "lite0", network, DIGITS, prepare(DIGITS, 8, cache))
    assert_close(load_weights(tmp_path / "lite0", network.arch)(x), expected)
    (tmp_path / "arch.json").write_text(json.dumps(network.arch.to_json()), encoding="utf-8")
    rebuilt = model.load(tmp_path / "arch.json", tmp_path / "lite0")
    assert_close(rebuilt(x), expected)
    assert_close(model.fuse(rebuilt)(x), expected)


@torch.no_grad()
def test_exports_of_its_first_blocks_compute_the_same_at_the_cost_of_the_formula(tmp_path: Path) -> None:
    """Kernels of 3 and of 5 with a stride; at 75 pixels the stem pads symmetrically, later layers do not."""
    whole = adapt(ZOO["efficientnet_lite0"].arch, resolution=75)
    network = build_network(replace(whole, blocks=whole.blocks[:5], head_channels=64), seed=0).eval()
    x = images(2, 75, SEEDS[75])
    check_exports(network, x, network(x).double(), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("resolution", [224, 75, 64])
@torch.no_grad()
def test_exports_compute_the_same_at_the_cost_of_the_formula(resolution: int, tmp_path: Path) -> None:
    check_exports(lite0(resolution), images(2, resolution, SEEDS[resolution]), expected_logits(resolution), tmp_path)


def check_exports(network: Network, x: Tensor, expected: Tensor, folder: Path) -> None:
    graph, macs, resolution = filled_graph(network), count_macs(network.arch), network.arch.resolution
    save_onnx(folder / "model.onnx", graph, {})
    save_pt2(folder / "model.pt2", graph.program)
    save_torchscript(folder / "model.ts", graph.network, resolution)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    assert_close(torch.from_numpy(session.run(None, {"images": x.numpy()})[0]), expected)
    assert_close(torch.export.load(folder / "model.pt2").module()(x), expected)
    assert_close(torch.jit.load(folder / "model.ts")(x), expected)
    assert count_live_macs(network, resolution) == macs
    assert sum(count_onnx_macs(folder / "model.onnx", resolution).values()) == macs.total
    operators = {node.op_type for node in onnx.load(folder / "model.onnx").graph.node}
    assert "Pad" not in operators  # runtimes pad inside of their convolutions


@torch.no_grad()
@pytest.mark.long
def test_eight_bits_stay_close_to_the_network(tmp_path: Path) -> None:
    network, x = lite0(64), images(32, 64, 5)
    save_onnx(tmp_path / "model.onnx", filled_graph(network), {})
    quantise(tmp_path / "model.onnx", tmp_path / "int8.onnx", iter([x.numpy()]))
    assert sum(count_onnx_macs(tmp_path / "int8.onnx", 64).values()) == count_macs(network.arch).total
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx")
    found = session.run(None, {"images": x.numpy()})[0]
    assert np.corrcoef(found.ravel(), network(x).numpy().ravel())[0, 1] > 0.8
