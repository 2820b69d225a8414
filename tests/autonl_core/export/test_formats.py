"""What every export format promises: the same bytes again, logits of the network, nothing about the machine."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from autonl_core.bundle.files import model, verify
from autonl_core.bundle.formats import prepare_graph
from autonl_core.bundle.parity import describe_files
from autonl_core.export.materials import Materials
from autonl_core.registry import DuplicateMember
from autonl_core.spec.formats import (
    EXPORT_FORMATS,
    FORMATS,
    NETWORK_FORMAT_SPECS,
    REGISTRY,
    NetworkFormat,
    in_order,
)
from autonl_core.spec.space_families import get_space
from autonl_core.training.evaluate import recalibrate_batch_norm
from tests.autonl_core.bundle.small_bundle import WITHOUT_EXTRAS, Made, lively

CLASSES, RESOLUTION = 10, 8
PREPROCESS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
OTHER_FILES = {
    "README.md", "SHA256SUMS", "arch.json", "labels.txt", "model.py", "parity.json", "preprocess.json", "report.html",
    "pixels.py", "predict.py", "test.npz", "test_files.csv", "verify.py",
}  # fmt: skip


def images(count: int, seed: int = 0) -> torch.Tensor:
    """(count, 3, R, R) as a network is fed."""
    return torch.randn(count, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(seed))


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    """(count, R, R, 3) uint8, before they are normalised."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, RESOLUTION, RESOLUTION, 3), dtype=np.uint8)
    return torch.from_numpy(noise)


def given(name: NetworkFormat) -> torch.Tensor:
    """Two images as the format is fed them."""
    return pixels(2) if NETWORK_FORMAT_SPECS[name].input == "pixels" else images(2)


@dataclass(frozen=True)
class Folder:
    """A folder like that of a bundle, with a file of every format, and the network that they hold."""

    path: Path
    network: model.Network

    def file(self, name: NetworkFormat) -> Path:
        return self.path / NETWORK_FORMAT_SPECS[name].file_name


# Those that need an extra are made where it is installed, which takes minutes, but for one that developers have.
WITH_EXTRAS = tuple(
    name for name, spec in NETWORK_FORMAT_SPECS.items() if spec.extra is not None and spec.extra.is_installed()
)
EVERY_FORMAT = [
    pytest.param(
        name,
        marks=[
            *([pytest.mark.long] if spec.extra.name != "coreml" else []),
            pytest.mark.timeout(900),
            pytest.mark.skipif(name not in WITH_EXTRAS, reason=f"needs the extra {spec.extra.name}"),
        ],
    )
    if spec.extra is not None
    else pytest.param(name)
    for name, spec in NETWORK_FORMAT_SPECS.items()
]


def make_all(path: Path, formats: Sequence[NetworkFormat]) -> None:
    """Make `formats` of the same small network in `path`, and those that are always made, in the order of bundles."""
    network = lively(get_space("tiny", RESOLUTION, CLASSES).largest())
    recalibrate_batch_norm(network, [(images(256, seed), torch.zeros(256)) for seed in range(2)])
    network.eval()
    checkpoint = path / "checkpoint"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, checkpoint)
    (path / "arch.json").write_text(json.dumps(network.arch.to_json()), encoding="utf-8")
    shutil.copy(str(model.__file__), path / "model.py")
    graph = prepare_graph(network.arch.to_json(), formats)
    graph.fill(model.fuse(model.load(path / "arch.json", checkpoint)).state_dict())

    def calibration() -> Iterator[NDArray[np.float32]]:
        return (images(32, seed).numpy() for seed in range(8))

    metadata: dict[str, object] = {"arch_id": network.arch.arch_id, "classes": [str(n) for n in range(CLASSES)]}
    metadata["preprocess"] = PREPROCESS
    (path / "preprocess.json").write_text(json.dumps(PREPROCESS), encoding="utf-8")
    materials = Materials(checkpoint, graph, metadata, path, calibration)
    for name, spec in NETWORK_FORMAT_SPECS.items():
        if name in formats or spec.availability == "always":
            spec.make(materials, path / spec.file_name)
    describe_files(path, formats)


def made_by_a_fresh_process(path: Path, formats: Sequence[NetworkFormat]) -> Folder:
    """As every search makes them: TorchScript numbers its classes by a counter of the process."""
    code = f"from pathlib import Path; from {__name__} import make_all; make_all(Path({str(path)!r}), {formats!r})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Folder(path, model.fuse(model.load(path / "arch.json", path / "checkpoint")))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[NetworkFormat, str], Folder]:
    """Formats that a fresh process made, once for each name of a folder: those with extras, or all others."""

    @functools.cache
    def made_there(with_extras: bool, folder_name: str) -> Folder:
        return made_by_a_fresh_process(
            tmp_path_factory.mktemp(folder_name), WITH_EXTRAS if with_extras else WITHOUT_EXTRAS
        )

    return lambda name, folder_name: made_there(name in WITH_EXTRAS, folder_name)


@pytest.fixture
def folder(name: NetworkFormat, made: Made, fresh: Callable[[NetworkFormat, str], Folder]) -> Folder:
    """The bundle that other tests read from too: it holds every format that needs no extra."""
    if name in WITH_EXTRAS:
        return fresh(name, "first")
    network = model.load(made.bundle.folder / "arch.json", made.checkpoint)
    return Folder(made.bundle.folder, model.fuse(network))


@pytest.fixture
def opened(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Callable[[NetworkFormat], verify.Run]:
    """Opens a format as verify.py does, from what parity.json says about it."""
    monkeypatch.setattr(verify, "HERE", folder.path)
    files = json.loads((folder.path / "parity.json").read_text())["files"]

    def open_format(name: NetworkFormat) -> verify.Run:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript
            return verify._open_format(files[name]["opener"], folder.path / files[name]["file"], threads=1)

    return open_format


def rank_correlations(logits: Tensor, expected: Tensor) -> Tensor:
    """Spearman's coefficient of the logits of each image, (B,), of two (B, classes)."""
    ranks = [values.argsort(1).argsort(1).double() for values in (logits, expected)]
    a, b = (each - each.mean(1, keepdim=True) for each in ranks)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


@pytest.mark.parametrize("name", EVERY_FORMAT)
class TestEveryFormat:
    @pytest.mark.long
    def test_is_the_same_file_when_made_again_elsewhere(
        self, name: NetworkFormat, fresh: Callable[[NetworkFormat, str], Folder]
    ) -> None:
        first, again = fresh(name, "first"), fresh(name, "second")
        assert first.file(name).read_bytes() == again.file(name).read_bytes()

    def test_contains_no_path_of_this_machine(self, name: NetworkFormat, folder: Folder) -> None:
        file = folder.file(name)
        contents = [file.read_bytes()]
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                contents += [archive.read(member) for member in archive.namelist()]
        paths = [str(Path.cwd()).encode(), str(folder.path).encode(), b"site-packages"]
        assert not [path for path in paths if any(path in content for content in contents)]

    def test_computes_the_logits_of_the_network_for_any_number_of_images(
        self, name: NetworkFormat, folder: Folder, opened: Callable[[NetworkFormat], verify.Run]
    ) -> None:
        run, raw = opened(name), pixels(100, seed=9)
        x = verify.normalise(raw.numpy(), json.loads((folder.path / "preprocess.json").read_text()))
        given = raw if NETWORK_FORMAT_SPECS[name].input == "pixels" else x
        with torch.inference_mode():
            logits, expected = run(given), folder.network(x)
            assert run(given[:1]).shape == (1, CLASSES)
        assert (logits.shape, logits.dtype) == (expected.shape, torch.float32)
        if NETWORK_FORMAT_SPECS[name].lossy:
            # Products of LightNL make single logits of this untrained network as large as 1e13, so orders are compared.
            assert rank_correlations(logits, expected).median() > 0.5  # guessing: 0
        else:
            torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)

    def test_its_latency_can_be_measured_if_it_says_so(self, name: NetworkFormat, folder: Folder) -> None:
        latency = NETWORK_FORMAT_SPECS[name].latency
        if latency is not None:
            assert latency.title
            latency.open_file(folder.file(name), 1)(given(name))

    def test_its_snippet_goes_from_images_to_logits(
        self, name: NetworkFormat, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder.path)
        monkeypatch.syspath_prepend(str(folder.path))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the folder is shared with other tests
        usage = NETWORK_FORMAT_SPECS[name].usage
        batch = given(name).numpy() if "numpy" in usage else given(name)
        scope: dict[str, object] = {"images": batch, "pixels": batch}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript
            exec(usage, scope)  # noqa: S102  (the lines that users copy)
        assert np.asarray(scope["logits"]).shape == (2, CLASSES)


def test_names_and_files_are_unique_and_replace_no_other_file_of_the_bundle() -> None:
    assert set(FORMATS) == set(REGISTRY.names())
    for attribute in ("file_name", "ending"):
        values = [getattr(spec, attribute) for spec in FORMATS.values()]
        assert len(set(values)) == len(values)
    openers = {spec.opener_file for spec in NETWORK_FORMAT_SPECS.values()}
    assert not OTHER_FILES & {*openers, *(spec.file_name for spec in FORMATS.values())}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ending": ".other"}, "'onnx' and 'other' have the same file name, model.onnx"),
        ({"file_name": "model.other"}, "'onnx' and 'other' have the same ending, .onnx"),
    ],
)
def test_two_formats_that_share_a_file_name_or_an_ending_are_refused(changes: dict[str, str], problem: str) -> None:
    other = replace(FORMATS["onnx"], name="other", **changes)  # type: ignore[arg-type]  # all of these are texts
    with pytest.raises(DuplicateMember, match=problem):
        in_order([*FORMATS.values(), other])


def test_formats_are_listed_in_the_order_that_clients_know() -> None:
    known = ("safetensors", "onnx", "onnx-int8", "pt2", "torchscript", "bundle")
    assert tuple(name for name in FORMATS if name in known) == known
    on_request = [name for name, spec in NETWORK_FORMAT_SPECS.items() if spec.availability != "always"]
    assert list(EXPORT_FORMATS) == on_request
    assert [name for name in EXPORT_FORMATS if name in known] == ["onnx", "onnx-int8", "pt2", "torchscript"]
