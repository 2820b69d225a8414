"""Core ML packages, and how they are read where Core ML does not run. What all formats promise: test_formats.py."""

from __future__ import annotations

import json
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autonl_core.bundle.files import model
from autonl_core.bundle.formats import prepare_graph
from autonl_core.export.coreml_package import save_coreml
from autonl_core.export.coreml_reader import open_file
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.spec.space_families import get_space
from tests.autonl_core.bundle.small_bundle import lively, plain

RESOLUTION, CLASSES = 8, 10
METADATA = {"arch_id": "abc", "classes": ["cat", "dog"]}
HALF_MAX = 65_504.0  # the largest number of float16


ARCH = get_space("tiny", RESOLUTION, CLASSES).largest()


@pytest.fixture(scope="module")
def network() -> model.Network:
    """Whose LightNL adds little, however large its products are."""
    untrained = lively(ARCH)
    for layer in untrained.modules():
        if isinstance(layer, LightNL):
            layer.norm.weight.mul_(1e-4)
            layer.norm.bias.zero_()
    return model.fuse(plain(untrained))


@pytest.fixture(scope="module")
def packages(network: model.Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same network in float32, and in float16 with 8-bit weights."""
    folder = tmp_path_factory.mktemp("coreml")
    graph = prepare_graph(ARCH.to_json(), ("onnx",))
    graph.fill(network.state_dict())
    made = {"float32": folder / "model.mlpackage.zip", "int8": folder / "model.int8.mlpackage.zip"}
    for name, path in made.items():
        save_coreml(path, graph, METADATA, small=name == "int8")
    return made


def images(count: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(1))


def described(package: Path) -> dict[str, str]:
    from coremltools.proto import Model_pb2

    with zipfile.ZipFile(package) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".mlmodel"))
        description = Model_pb2.Model.FromString(archive.read(name)).description
    assert [each.name for each in (*description.input, *description.output)] == ["images", "logits"]
    return dict(description.metadata.userDefined)


def test_what_classes_and_preprocessing_it_has_travels_in_it_and_no_date(packages: dict[str, Path]) -> None:
    for package in packages.values():
        found = described(package)
        assert (found["arch_id"], json.loads(found["classes"])) == ("abc", ["cat", "dog"])
        assert not [name for name in found if "date" in name]


def test_eight_bits_take_less_than_half_and_move_the_logits_a_little(
    network: model.Network, packages: dict[str, Path]
) -> None:
    assert packages["int8"].stat().st_size < packages["float32"].stat().st_size / 2
    with torch.inference_mode():
        expected = network(images(64))
        exact, rounded = (open_file(package, 1)(images(64)) for package in packages.values())
    torch.testing.assert_close(exact, expected, rtol=1e-4, atol=1e-5)
    moved = (rounded - expected).abs().max() / expected.abs().max()
    assert 0 < moved < 0.1


def test_products_of_light_nl_that_float16_cannot_hold_are_computed_in_float32(
    network: model.Network, packages: dict[str, Path]
) -> None:
    largest = 0.0

    def measure(_: nn.Module, taken: tuple[Tensor, ...], __: Tensor) -> None:
        nonlocal largest
        largest = max(largest, float(taken[0].abs().max()))

    depthwise = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    hooks = [layer.register_forward_hook(measure) for layer in depthwise]
    bright = images(8, scale=30.0)
    with torch.inference_mode():
        expected = network(bright)
        for hook in hooks:
            hook.remove()
        rounded = open_file(packages["int8"], 1)(bright)
    assert largest > HALF_MAX  # what LightNL's depthwise convolution takes
    assert expected.isfinite().all()
    assert rounded.isfinite().all()


def test_operations_that_it_cannot_compute_are_named(packages: dict[str, Path], tmp_path: Path) -> None:
    changed = tmp_path / "model.mlpackage.zip"
    with zipfile.ZipFile(packages["float32"]) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(b"\x04silu", b"\x04gelu"))
    with pytest.raises(ValueError, match=r"operations that verify\.py cannot compute: gelu"):
        open_file(changed, 1)


class FakeCoreML:
    """Core ML as coremltools offers it on a Mac."""

    def __init__(self, package: str) -> None:
        assert (Path(package) / "Manifest.json").exists()

    def predict(self, given: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        image = given["images"]
        assert image.shape == (1, 3, RESOLUTION, RESOLUTION)
        assert image.dtype == np.float32
        return {"logits": image.mean((2, 3))}


def test_on_a_mac_core_ml_itself_computes_image_by_image(
    packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "coremltools.models", types.SimpleNamespace(MLModel=FakeCoreML))
    run: Callable[[Tensor], Tensor] = open_file(packages["float32"], 1)
    torch.testing.assert_close(run(images(3)), images(3).mean((2, 3)))
