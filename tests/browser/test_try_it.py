"""Trying the network of a finished search: an image that is chosen or dropped is predicted in the browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from api import page as page_files
from autonl_core.bundle.files.pixels import decode
from autonl_core.bundle.files.predict import Classifier
from tests.browser import full_results
from tests.browser.axe import violations
from tests.browser.seeded_views import Service, claimed
from tests.browser.small_networks import fitted_network, recipe
from tests.browser.trial_images import content_of, cut_out, jpegs, large, photos, pngs, turned
from tests.browser.watched_pages import PHONE, Pages, expect, go

if TYPE_CHECKING:
    from playwright.sync_api import Page

RESOLUTION = 64
IMAGES, FEW = 200, 8  # of a set
_PIXELS = """drawn => {
  const { data } = drawn.getContext("2d").getImageData(0, 0, drawn.width, drawn.height);
  return btoa(Array.from(data, (value) => String.fromCharCode(value)).join(""));
}"""
# Each file goes the way of one that a user chose, from the worker on.
_PREDICT_ALL = """async (address) => {
  const worker = new Worker("static/js/predict/worker.js", { type: "module" });
  const answer = (number, file) => new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage({ number, address: new URL(address, location.href).href, file });
  });
  const found = [];
  for (const [number, file] of [...document.querySelector("#many").files].entries()) {
    const { problem, top } = await answer(number, file);
    found.push(problem ?? top.map(({ name }) => name));
  }
  worker.terminate();
  return found;
}"""

pytestmark = pytest.mark.skipif(not page_files.RUNTIME.is_dir(), reason="make page-runtime has not been run")


@pytest.fixture(scope="module")
def clothing(service: Service) -> tuple[str, Classifier]:
    """The address of a finished search on photos of clothes, and its network as predict.py runs it."""
    labelled, preprocess = photos(IMAGES), recipe(RESOLUTION)
    classes = sorted({name for name, _ in labelled})
    pixels = np.stack([decode(content_of(photo, "PNG"), preprocess) for _, photo in labelled])
    content = fitted_network(preprocess, classes, pixels, [classes.index(name) for name, _ in labelled])
    lease = claimed(service.client, service.stores)
    contents = {"safetensors": bytes(64), "onnx": content}
    full_results.finish(service.stores, lease, service.folder, full_results.full_result(), contents)
    path = service.folder / "clothing.onnx"
    path.write_bytes(content)
    return f"/searches/{lease.search_id}", Classifier(path, threads=1)


@pytest.fixture
def images(tmp_path: Path) -> Callable[[Iterable[bytes]], list[Path]]:
    """Writes files for the page to choose."""

    def write(contents: Iterable[bytes]) -> list[Path]:
        paths = []
        for number, content in enumerate(contents):
            paths.append(tmp_path / f"{number:03}.image")
            paths[-1].write_bytes(content)
        return paths

    return write


def said(page: Page) -> Any:
    return page.locator(".try-it [role=status]")


def choose(page: Page, path: Path) -> None:
    """Choose an image and wait for its prediction."""
    page.locator(".prediction").evaluate("one => one.replaceChildren()")
    page.get_by_label("Choose an image").set_input_files(path)
    expect(page.locator(".prediction canvas")).to_be_visible()


def test_an_image_is_predicted_as_predict_py_does_it(
    page: Page, clothing: tuple[str, Classifier], images: Callable[..., list[Path]]
) -> None:
    address, classifier = clothing
    (path,) = images(turned(1))
    go(page, address)
    choose(page, path)
    guesses = classifier.predict(path.read_bytes(), 5)
    listed = page.get_by_role("list", name="The most probable classes").get_by_role("listitem")
    expect(listed.locator(".name")).to_have_text([guess.name for guess in guesses])
    shares = [float(text.strip("<% ")) for text in listed.locator(".share").all_inner_texts()]
    assert shares == pytest.approx([guess.probability_pct for guess in guesses], abs=0.11)
    expect(said(page)).to_contain_text(f"{guesses[0].name}")
    expect(said(page)).to_contain_text("on one thread of this browser")


@pytest.mark.parametrize("files", [jpegs, pngs])
def test_the_network_sees_every_pixel_as_training_does(
    page: Page,
    clothing: tuple[str, Classifier],
    images: Callable[..., list[Path]],
    files: Callable[[], Iterator[tuple[str, bytes]]],
) -> None:
    go(page, clothing[0])
    chosen = list(files())[::4]
    for (name, content), path in zip(chosen, images(content for _, content in chosen), strict=True):
        choose(page, path)
        assert np.array_equal(seen(page), decode(content, recipe(RESOLUTION))), name


def seen(page: Page) -> NDArray[np.uint8]:
    """(R, R, 3): the picture that the page shows."""
    values = base64.b64decode(page.locator(".prediction canvas").evaluate(_PIXELS))
    return np.frombuffer(values, dtype=np.uint8).reshape(RESOLUTION, RESOLUTION, 4)[..., :3]


@pytest.mark.parametrize("file_format", ["WEBP", "BMP", "GIF", "AVIF"])
def test_what_the_browser_decodes_is_close_and_says_so(
    page: Page, clothing: tuple[str, Classifier], images: Callable[..., list[Path]], file_format: str
) -> None:
    content = content_of(photos(1)[0][1], file_format)
    go(page, clothing[0])
    choose(page, *images([content]))
    difference = seen(page).astype(int) - decode(content, recipe(RESOLUTION))
    assert np.abs(difference).max() <= 3
    expect(page.locator(".prediction figcaption")).to_contain_text("The browser decoded this format")


def test_below_a_probability_that_the_test_images_showed_it_is_not_sure(
    page: Page, clothing: tuple[str, Classifier], images: Callable[..., list[Path]]
) -> None:
    """That of the seeded result is 45%."""
    address, classifier = clothing
    files = sorted(turned(40), key=lambda content: classifier.predict(content, 1)[0].probability_pct)
    unsure, sure = images([files[0], files[-1]])
    shares = [classifier.predict(path.read_bytes(), 1)[0].probability_pct for path in (unsure, sure)]
    assert shares[0] < 45 < shares[1]
    go(page, address)
    choose(page, unsure)
    expect(said(page)).to_contain_text("Not sure: ")
    expect(said(page)).to_contain_text(
        "of the 25 test images whose best class had less than 45.0%, only 11 were right. Prepared in"
    )
    choose(page, sure)
    expect(said(page)).not_to_contain_text("ot sure")


def test_an_image_is_dropped(page: Page, clothing: tuple[str, Classifier]) -> None:
    (content,) = cut_out(1)
    go(page, clothing[0])
    dropped = page.evaluate_handle(
        """text => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], "hat.png"));
          return transfer;
        }""",
        base64.b64encode(content).decode(),
    )
    page.dispatch_event(".try-it .drop", "drop", {"dataTransfer": dropped})
    expect(page.locator(".prediction li")).to_have_count(5)


def test_an_image_that_cannot_be_used_says_why_and_the_next_one_is_predicted(
    page: Page, clothing: tuple[str, Classifier], images: Callable[..., list[Path]]
) -> None:
    photo = photos(1)[0][1]
    bad, good = images([content_of(photo.convert("CMYK"), "JPEG"), content_of(photo, "JPEG")])
    go(page, clothing[0])
    page.get_by_label("Choose an image").set_input_files(bad)
    expect(said(page)).to_have_text(
        "000.image cannot be used: a JPEG in CMYK, the colours of printers, cannot be read here; save it again in RGB."
    )
    expect(page.locator(".prediction li")).to_have_count(0)
    choose(page, good)
    expect(page.locator(".prediction li")).to_have_count(5)


def test_nothing_of_the_runtime_is_loaded_before_an_image_is_chosen(
    pages: Pages, clothing: tuple[str, Classifier], images: Callable[..., list[Path]]
) -> None:
    page = pages.open(clothing[0])
    expect(page.get_by_label("Choose an image")).to_be_visible()
    before = {request.url for request in pages.requests}
    assert not [url for url in before if "runtime" in url or "/predict/" in url or "format=onnx" in url]
    choose(page, *images(turned(1)))
    loaded = {request.url.rpartition("/")[2] for request in pages.requests} - before
    assert {"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm", "worker.js"} <= loaded
    page.context.close()  # `pages` fails on a request to another host


def test_a_service_without_the_runtime_says_how_to_install_it(
    page: Page, clothing: tuple[str, Classifier], images: Callable[..., list[Path]]
) -> None:
    missing = json.dumps({"installed": False, "install": "make page-runtime"})
    page.route("**/static/runtime.json", lambda route: route.fulfill(body=missing, content_type="application/json"))
    go(page, clothing[0])
    page.get_by_label("Choose an image").set_input_files(images(turned(1))[0])
    expect(said(page)).to_have_text(
        "What computes predictions is not installed on this service; make page-runtime installs it."
    )
    page.unroute("**/static/runtime.json")


def test_a_prediction_is_accessible_and_fits_a_phone(
    pages: Pages, clothing: tuple[str, Classifier], images: Callable[..., list[Path]]
) -> None:
    page = pages.open(clothing[0], width=PHONE, scheme="dark")
    choose(page, *images(cut_out(1)))
    assert violations(page, ".try-it") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("files", "count"),
    [
        (turned, FEW),
        (cut_out, FEW),
        pytest.param(turned, IMAGES, marks=pytest.mark.long),
        pytest.param(cut_out, IMAGES, marks=pytest.mark.long),
        pytest.param(large, IMAGES, marks=pytest.mark.long),
    ],
)
def test_sets_of_images_get_the_classes_that_predict_py_gives_them(
    pages: Pages,
    clothing: tuple[str, Classifier],
    images: Callable[..., list[Path]],
    files: Callable[[int], Iterator[bytes]],
    count: int,
) -> None:
    address, classifier = clothing
    page = pages.open(address)
    link = page.get_by_role("link", name="model.onnx").get_attribute("href")
    page.evaluate("""() => {
      const many = Object.assign(document.createElement("input"), { type: "file", multiple: true, id: "many" });
      document.body.append(many);
    }""")
    paths = images(files(count))
    page.locator("#many").set_input_files(paths)
    found = page.evaluate(_PREDICT_ALL, link)
    expected = [[guess.name for guess in classifier.predict(path.read_bytes(), 5)] for path in paths]
    assert found == expected
    assert len({first for first, *_ in expected}) > 1
    page.context.close()
