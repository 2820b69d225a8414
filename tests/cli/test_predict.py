"""`autonl predict`: with the network of a search, or of an unpacked bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from autonl_core.bundle.files.predict import Classifier
from autonl_core.spec.not_sure import NotSure
from store.stores import Stores
from tests.api.http_service import finish, run_to_success, start
from tests.autonl_core.bundle.small_bundle import Made
from tests.browser import full_results
from tests.cli.test_commands import autonl
from tests.cli.test_light_start import run
from tests.store import sample_rows
from tests.store.sample_rows import claim
from tests.store.test_supernets import keep


@pytest.fixture
def image(made: Made, tmp_path: Path) -> Path:
    pixels, _ = made.run.data.test.take(np.array([3]))
    Image.fromarray(pixels[0].numpy()).save(tmp_path / "a digit.png")
    return tmp_path / "a digit.png"


@pytest.fixture
def best(made: Made, image: Path) -> str:
    """The class that the network sees in the image."""
    return Classifier(made.bundle.folder / "model.onnx").predict(image.read_bytes(), 1)[0].name


def test_with_a_bundle_no_service_is_asked_and_torch_is_not_loaded(made: Made, image: Path, best: str) -> None:
    arguments = ("--bundle", str(made.bundle.folder), "--url", "http://127.0.0.1:1", "--top", "2", str(image))
    code, output, imported = run("predict", *arguments)
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == str(image)
    assert lines[1].endswith(f"%  {best}")
    assert len(lines) == 3
    assert not {"torch", "onnx", "fastapi", "sqlalchemy"} & imported
    assert {"numpy", "onnxruntime"} <= imported


def test_with_a_search_its_network_is_downloaded(
    service: httpx.Client, stores: Stores, made: Made, image: Path, best: str, tmp_path: Path
) -> None:
    search_id = start(service)
    early = autonl("predict", str(image))
    assert (early.exit_code, "No search has succeeded yet" in early.stderr) == (2, True)
    early = autonl("predict", "--dataset", "digits", str(image))
    assert (early.exit_code, "No search has succeeded yet on the dataset digits" in early.stderr) == (2, True)
    early = autonl("predict", "--search", search_id, str(image))
    assert (early.exit_code, "has no checkpoint" in early.stderr) == (2, True)
    run_to_success(stores, tmp_path, onnx=(made.bundle.folder / "model.onnx").read_bytes())
    named = autonl("predict", "--search", search_id, "--json", str(image))
    assert named.exit_code == 0
    (found,) = json.loads(named.stdout)
    assert (found["image"], found["class"], len(found["top"])) == (str(image), best, 5)
    newest = autonl("predict", str(image), "--top=1")
    assert (newest.exit_code, best in newest.stdout) == (0, True)
    assert f"with search {search_id} of the dataset digits, the newest that succeeded" in newest.stderr
    of_dataset = autonl("predict", "-d", "digits", str(image), "--top=1")
    assert (of_dataset.exit_code, of_dataset.stdout) == (0, newest.stdout)
    other = autonl("predict", "-d", "pets", str(image))
    assert (other.exit_code, "no dataset 'pets'" in other.stderr) == (2, True)
    short = autonl("predict", "-s", search_id[:5], str(image), "--top=1")
    assert (short.exit_code, short.stdout) == (0, newest.stdout)
    assert not list(tmp_path.glob("*.part"))


def test_of_several_budgets_the_first_one_predicts_and_the_others_are_named(
    service: httpx.Client, stores: Stores, made: Made, image: Path, tmp_path: Path
) -> None:
    onnx = (made.bundle.folder / "model.onnx").read_bytes()
    first = service.post("/searches", json={"dataset": "digits", "flops_budgets": ["400k", "300k"]}).json()["id"]
    lease = claim(stores)
    keep(stores, lease, tmp_path)
    finish(stores, lease, tmp_path, onnx=onnx)
    side = run_to_success(stores, tmp_path, onnx=onnx).search_id
    said = autonl("predict", "--top=1", str(image)).stderr
    assert said.startswith(f"with search {first} of the dataset digits, the newest that succeeded, for 400k MACs")
    assert f"; other budgets: -s {side} for 300k" in said


def test_below_the_probability_that_its_test_images_showed_a_network_is_not_sure(
    service: httpx.Client, stores: Stores, made: Made, image: Path, tmp_path: Path
) -> None:
    start(service)
    contents = {"safetensors": bytes(64), "onnx": (made.bundle.folder / "model.onnx").read_bytes()}
    result = replace(sample_rows.result(), not_sure=NotSure(below=1.0, test_images=40, test_correct=12))
    lease = claim(stores)
    full_results.finish(stores, lease, tmp_path, result, contents)
    why = "of the 40 test images whose best class had less than 100.0%, only 12 were right"
    said = autonl("predict", "-s", lease.search_id, str(image))
    assert (said.exit_code, said.stdout.splitlines()[-1]) == (0, f"  not sure: {why}")
    (found,) = json.loads(autonl("predict", "-s", lease.search_id, "--json", str(image)).stdout)
    assert found["not_sure"] == why


def test_a_search_without_onnx_says_why_there_is_none(
    service: httpx.Client, stores: Stores, image: Path, tmp_path: Path
) -> None:
    search_id = start(service)
    run_to_success(stores, tmp_path)
    refused = autonl("predict", "--search", search_id, str(image))
    assert (refused.exit_code, "was not asked to export onnx" in refused.stderr) == (2, True)


def test_what_cannot_be_used_is_named_with_the_way_out(made: Made, image: Path, tmp_path: Path) -> None:
    packed = autonl("predict", "--bundle", str(image), str(image))
    assert packed.exit_code == 2
    assert f"{image} is not a folder" in packed.stderr
    assert "unpack the bundle" in packed.stderr
    folder = str(made.bundle.folder)
    both = autonl("predict", "--bundle", folder, "--search", "x", str(image))
    assert (both.exit_code, "give one of them" in both.stderr) == (2, True)
    both = autonl("predict", "--dataset", "digits", "--search", "x", str(image))
    assert (both.exit_code, "give one of them" in both.stderr) == (2, True)
    empty = autonl("predict", "--bundle", str(tmp_path), str(image))
    assert (empty.exit_code, "contains none of model.onnx" in empty.stderr) == (2, True)
    assert autonl("predict", "--bundle", str(tmp_path / "none"), str(image)).exit_code == 2
    assert autonl("predict", "--bundle", folder).exit_code == 2
    partly = autonl("predict", "--bundle", folder, str(tmp_path / "none.jpg"), str(image))
    assert (partly.exit_code, f"{tmp_path / 'none.jpg'}: No such file or directory" in partly.stderr) == (1, True)
    assert str(image) in partly.stdout
    inside = autonl("predict", "--bundle", folder, str(tmp_path))
    assert f"such as {tmp_path / '*.png'}" in inside.stderr
