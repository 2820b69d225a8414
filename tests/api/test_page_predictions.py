"""What the page computes of an image, by the engine of a browser: the pixels that Pillow computes, and the ranking."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from api import page
from autonl_core.bundle.files.pixels import decode, normalise
from tests.api.test_page_scripts import evaluate, node
from tests.browser.small_networks import random_network, recipe
from tests.browser.trial_images import content_of, jpegs, noisy, pngs

RESOLUTIONS = (8, 224)


def prepared(files: Iterable[tuple[bytes, Mapping[str, Any]]]) -> list[NDArray[np.uint8] | str]:
    """The pixels of every file for its recipe, (R, R, 3), or why there are none."""
    code = """
        const { prepare } = await import(`${js}/predict/prepare.js`);
        const found = [];
        for (const [text, preprocess] of input) {
          try {
            const pixels = await prepare(new Uint8Array(Buffer.from(text, "base64")), preprocess);
            found.push([Buffer.from(pixels).toString("base64"), null]);
          } catch (problem) {
            found.push([null, problem.message]);
          }
        }
        process.stdout.write(JSON.stringify(found));
    """
    given = list(files)
    texts = [(base64.b64encode(content).decode(), preprocess) for content, preprocess in given]
    answers = zip(json.loads(node(code, texts)), given, strict=True)
    return [problem or pixels_of(text, preprocess["resolution"]) for (text, problem), (_, preprocess) in answers]


def pixels_of(text: str, resolution: int) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).reshape(resolution, resolution, 3)


@pytest.mark.parametrize("files", [jpegs, pngs])
def test_every_pixel_equals_pillow_s(files: Any) -> None:
    cases = [(name, content, recipe(resolution)) for resolution in RESOLUTIONS for name, content in files()]
    found = prepared((content, preprocess) for _, content, preprocess in cases)
    expected = [decode(content, preprocess) for _, content, preprocess in cases]
    different = [
        f"{name} at {preprocess['resolution']}"
        for (name, _, preprocess), one, other in zip(cases, found, expected, strict=True)
        if not np.array_equal(np.asarray(one), other)
    ]
    assert len(cases) > 40
    assert different == []


@pytest.mark.long
def test_every_pixel_of_a_large_photo_equals_pillow_s() -> None:
    photo = noisy(4000, 3000, np.random.default_rng(5))
    contents = [content_of(photo, "JPEG", 6, quality=85, progressive=each) for each in (False, True)]
    contents.append(content_of(photo, "PNG"))
    for content in contents:
        (found,) = prepared([(content, recipe(224))])
        assert np.array_equal(np.asarray(found), decode(content, recipe(224)))


@pytest.mark.parametrize("grey_range", [(0.0, 4095.0), (100.0, 40000.0)])
def test_grey_of_16_bits_is_scaled_by_the_range_of_the_dataset(grey_range: tuple[float, float]) -> None:
    values = np.random.default_rng(6).integers(0, 65536, (40, 30), dtype=np.uint16)
    content = content_of(Image.fromarray(values), "PNG")
    (found,) = prepared([(content, recipe(32, grey_range))])
    assert np.array_equal(np.asarray(found), decode(content, recipe(32, grey_range)))


def test_what_cannot_be_read_as_training_does_says_why() -> None:
    image = noisy(40, 30, np.random.default_rng(7))
    jpeg = content_of(image, "JPEG")
    few_pixels, few_bytes = recipe(8) | {"max_image_pixels": 1000}, recipe(8) | {"max_image_bytes": 100}
    said = prepared(
        [
            (content_of(image.convert("CMYK"), "JPEG"), recipe(8)),
            (content_of(image, "TIFF"), recipe(8)),
            (content_of(image, "PPM"), recipe(8)),
            (b"no image", recipe(8)),
            (jpeg[: len(jpeg) // 2], recipe(8)),
            (content_of(image, "PNG")[:200], recipe(8)),
            (jpeg, few_pixels),
            (jpeg, few_bytes),
        ]
    )
    assert said == [
        "a JPEG in CMYK, the colours of printers, cannot be read here; save it again in RGB",
        "browsers do not read TIFF: choose a JPEG or PNG file, or use autonl predict",
        "browsers do not read PPM: choose a JPEG or PNG file, or use autonl predict",
        "it is no image that a browser reads as training does: choose a JPEG, PNG, WebP, GIF, BMP or AVIF file",
        "the file ends before its image does",
        "the file ends before its image does",
        "40x30 pixels exceed the limit of 1,000; resize it",
        "the file has more than 100 bytes",
    ]


def test_a_recipe_with_other_steps_than_the_page_does_is_refused() -> None:
    content = content_of(noisy(40, 30, np.random.default_rng(9)), "PNG")
    squeezed = {"operation": "crop_and_resize", "crop": "none", "filter": "triangle"}
    said = prepared((content, recipe(8) | {"operations": [step]}) for step in (squeezed, {"operation": "sharpen"}))
    assert said == [
        f"its network is fed images prepared in another way ({name}) than this page prepares them; use autonl predict"
        for name in ("crop_and_resize", "sharpen")
    ]


def test_the_input_of_a_network_is_that_of_pixels_py() -> None:
    pixels = np.random.default_rng(8).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    code = "Array.from(normalised(Uint8Array.from(input.pixels), input.preprocess))"
    given = {"pixels": pixels.ravel().tolist(), "preprocess": recipe(8)}
    found = evaluate(code, given, **{"predict/prepare": "{ normalised }"})
    assert np.array_equal(np.float32(found), normalise(pixels[None], recipe(8)).ravel())


def test_an_onnx_file_says_how_images_are_prepared_for_it(tmp_path: Path) -> None:
    classes = ["ash", "Ölbaum", "日本"]
    (tmp_path / "model.onnx").write_bytes(random_network(recipe(32), classes))
    code = "readMetadata((await import('node:fs')).readFileSync(input))"
    found = evaluate(code, str(tmp_path / "model.onnx"), **{"predict/onnx_metadata": "{ readMetadata }"})
    assert {name: json.loads(value) for name, value in found.items()} == {
        "classes": classes,
        "preprocess": recipe(32),
    }


def test_the_five_most_probable_classes_are_ranked_and_of_equal_ones_the_first_leads() -> None:
    code = "ranked([0, 3, 3, -1000, 1, 2, 88], input)"
    found = evaluate(code, list("abcdefg"), **{"predict/ranking": "{ ranked }"})
    assert [one["name"] for one in found] == ["g", "b", "c", "f", "e"]
    assert found[0]["probability"] == pytest.approx(1)
    assert found[1]["probability"] == pytest.approx(np.exp(-85))


def test_only_the_worker_may_compile_webassembly(client: httpx.Client) -> None:
    policies = {
        path: client.get(path).headers["Content-Security-Policy"]
        for path in ("/", "/static/js/main.js", "/static/js/try_it.js", "/static/js/predict/worker.js")
    }
    worker = policies.pop("/static/js/predict/worker.js")
    assert worker == "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
    assert not [path for path, policy in policies.items() if "unsafe" in policy]


def test_the_service_says_whether_it_has_the_runtime_and_how_to_install_it(client: httpx.Client) -> None:
    said = client.get("/static/runtime.json").json()
    assert said == {"installed": page.RUNTIME.is_dir(), "install": "make page-runtime"}
    answer = client.head("/static/runtime/ort.wasm.bundle.min.mjs")
    assert (answer.status_code == 200) is page.RUNTIME.is_dir()
    if page.RUNTIME.is_dir():
        assert answer.headers["Cache-Control"] == "no-cache"  # kept, unlike all other files of the page
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert client.get("/static/runtime/LICENSE.onnxruntime").status_code == 200
