"""pixels.py of a bundle gives the pixels of training, and preprocess.json says how anybody else gets them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from autonl_core.bundle.files import pixels as ours
from autonl_core.bundle.one_module import one_module
from autonl_core.data.augment import normalise
from autonl_core.data.decode import read_image
from autonl_core.datasets.image_files import FORMATS
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.spec import GreyRange
from tests.autonl_core.bundle.picture_grid import picture_grid
from tests.autonl_core.bundle.small_bundle import Made

PREPROCESS: dict[str, Any] = {
    "max_image_bytes": DEFAULT_LIMITS.image_bytes,
    "max_image_pixels": DEFAULT_LIMITS.image_pixels,
}
_DECODE_ALL = """
import json, sys
import numpy as np, pixels
preprocess = json.loads(sys.argv[1])
decoded = {}
with np.load("files.npz") as files:
    for name in files.files:
        for resolution in (8, 32):
            try:
                decoded[f"{name} at {resolution}"] = pixels.decode(files[name].tobytes(), {**preprocess, "resolution": resolution})
            except ValueError as error:
                decoded[f"{name} at {resolution}"] = np.array(str(error))
np.savez("decoded.npz", **decoded)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""  # noqa: E501


def decoded_by_the_shipped_file(
    folder: Path, files: dict[str, bytes], grey_range: GreyRange | None
) -> tuple[dict[str, NDArray[Any]], set[str]]:
    """What the shipped file makes of `files` in a Python without this package; and the packages that it loaded."""
    (folder / "pixels.py").write_text(one_module(ours.__name__))
    arrays: dict[str, Any] = {name: np.frombuffer(content, np.uint8) for name, content in files.items()}
    np.savez(folder / "files.npz", **arrays)
    start = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    command = [sys.executable, "-I", "-c", start + _DECODE_ALL, json.dumps(PREPROCESS | {"grey_range": grey_range})]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "decoded.npz") as decoded:
        return {name: decoded[name] for name in decoded.files}, set(done.stdout.split())


@pytest.mark.parametrize(
    "grey_range", [None, *(pytest.param(values, marks=pytest.mark.long) for values in ((0.0, 65535.0), (12.5, 4000.0)))]
)
def test_the_shipped_file_gives_the_pixels_of_training_for_every_format_depth_and_mode(
    grey_range: GreyRange | None, tmp_path: Path
) -> None:
    files = dict(picture_grid()) | {"damaged": b"\x89PNG nothing", "empty": b"", "text": b"a,b\n1,2\n"}
    decoded, packages = decoded_by_the_shipped_file(tmp_path, files, grey_range)
    assert len(decoded) == 2 * len(files) > 250
    for name, content in files.items():
        for resolution in (8, 32):
            expected = read_image(content, resolution, DEFAULT_LIMITS, grey_range=grey_range)
            found = decoded[f"{name} at {resolution}"]
            assert np.array_equal(found, expected), (name, found, expected)
    assert {"numpy", "PIL"} <= packages
    assert not {"torch", "autonl_core"} & packages


def test_it_is_normalised_as_in_training_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
    for _ in range(20):
        mean, std = (tuple(map(float, rng.uniform(0.01, 1, 3))) for _ in range(2))
        expected = normalise(torch.from_numpy(pixels), mean, std).contiguous().numpy()
        assert np.array_equal(ours.normalise(pixels, {"mean": mean, "std": std}), expected)


def resized_by_the_words(image: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """What preprocess.json says about an RGB image that is not a JPEG, in float64 and without Pillow."""
    height, width = image.shape[:2]
    factor = min(width, height) // (2 * size)
    values = image.astype(np.float64)
    if factor >= 2:
        rows, columns = (range(0, length, factor) for length in (height, width))
        blocks = [[values[y : y + factor, x : x + factor].mean(axis=(0, 1)) for x in columns] for y in rows]
        values = np.floor(np.array(blocks) + 0.5)
    height, width = values.shape[:2]
    side = min(width, height)
    for axis, length in ((1, width), (0, height)):
        weights = triangle(length, (length - side) / 2, side, size)
        values = np.floor(np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis) + 0.5)
    return values


def triangle(length: int, start: float, side: float, size: int) -> NDArray[np.float64]:
    """Weights (size, length) of the pixels of a line for `size` outputs of its part [start, start + side)."""
    support = max(1.0, side / size)
    centres = start + (np.arange(size) + 0.5) * side / size
    weights = np.maximum(0, 1 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / support)
    total: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return total


def without_antialiasing(image: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """What OpenCV's INTER_LINEAR does: the same, with a support of one pixel."""
    values = image.astype(np.float64)
    for axis, length in ((1, image.shape[1]), (0, image.shape[0])):
        centres = (np.arange(size) + 0.5) * length / size
        weights = np.maximum(0, 1 - np.abs(np.arange(length) + 0.5 - centres[:, None]))
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    return values


@pytest.mark.parametrize(("height", "width"), [(40, 57), (57, 40), (129, 128), (512, 512), (200, 999), (20, 30)])
def test_the_words_of_preprocess_json_lead_to_the_same_pixels_within_one_level(height: int, width: int) -> None:
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    found = ours.decode(buffer.getvalue(), PREPROCESS | {"resolution": 32}).astype(np.float64)
    assert np.abs(found - resized_by_the_words(image, 32)).max() <= 1


def test_fine_texture_needs_the_antialiasing_that_the_words_ask_for(made: Made) -> None:
    """Lines of one pixel: averaged to grey by the words, kept at random by a reader that interpolates two pixels."""
    y, x = np.mgrid[0:499, 0:499]
    weave = np.where((x // 2 + y // 3) % 2 > 0, 190, 70).astype(np.uint8)
    image = np.stack([weave] * 3, axis=2)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    found = ours.decode(buffer.getvalue(), PREPROCESS | {"resolution": 32}).astype(np.float64)
    assert np.abs(found - resized_by_the_words(image, 32)).max() <= 1
    assert np.abs(found - without_antialiasing(image, 32)).mean() > 20
    preprocess = json.loads((made.bundle.folder / "preprocess.json").read_text())
    words = next(step for step in preprocess["steps"] if "antialias" in step)
    assert "INTER_LINEAR" in words
    assert "canvas" in words


@pytest.mark.parametrize("kind", ["I;16", "I", "F"])
def test_deep_images_are_mapped_by_the_formula_of_preprocess_json(kind: str) -> None:
    values = np.array([[0, 100, 1000, 1010, 2000, 3999, 4000, 65535]] * 8)
    picture = Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[kind]))
    assert picture.mode == kind
    buffer = io.BytesIO()
    picture.save(buffer, "tiff")
    found = ours.decode(buffer.getvalue(), PREPROCESS | {"resolution": 8, "grey_range": [1000, 4000]})
    # (1010 - 1000) * 255 / 3000 = .85; (2000 - 1000) * 255 / 3000 = 85; (3999 - 1000) * 255 / 3000 = 254.9
    assert found[0, :, 0].tolist() == [0, 0, 0, 1, 85, 255, 255, 255]
    assert (found == found[:1, :, :1]).all()


class TestPreprocessJson:
    @pytest.fixture
    def content(self, made: Made) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((made.bundle.folder / "preprocess.json").read_text())
        return found

    def test_every_step_is_there_in_order_in_words_and_in_values(self, content: dict[str, Any]) -> None:
        order = ["decode", "jpeg_draft", "turn", "to_rgb", "box_reduction", "crop_and_resize", "normalise"]
        assert [operation["operation"] for operation in content["operations"]] == order
        assert len(content["steps"]) == len(order)
        assert all(isinstance(step, str) for step in content["steps"])
        values = {operation["operation"]: operation for operation in content["operations"]}
        assert values["decode"]["formats"] == list(FORMATS)
        assert values["jpeg_draft"]["denominators"] == [8, 4, 2, 1]
        assert len(values["turn"]["orientations"]) == 8
        assert (values["crop_and_resize"]["filter"], values["crop_and_resize"]["antialias"]) == ("triangle", True)
        assert values["crop_and_resize"]["size"] == [8, 8]

    def test_what_readers_of_earlier_versions_look_for_is_still_there(
        self, content: dict[str, Any], made: Made
    ) -> None:
        data = made.run.data
        assert content["resolution"] == data.resolution == 8
        assert (content["mean"], content["std"]) == (list(data.mean), list(data.std))
        assert (content["colours"], content["layout"]) == ("RGB", "(B, 3, R, R) float32")
        assert content["max_image_bytes"] == data.report.limits.image_bytes
        assert content["max_image_pixels"] == data.report.limits.image_pixels
        assert content["grey_range"] is None  # digits have no deep images
