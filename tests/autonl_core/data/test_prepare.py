"""Preparing a dataset: the pixels that a network gets, what is reported, and the cache in between."""

from __future__ import annotations

import io
import threading
import zipfile
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autonl_core.data.build import OWN_GROUP, build
from autonl_core.data.decode import Images
from autonl_core.data.pixels import ArrayPixels
from autonl_core.data.prepare import ImageSet, PreparedData, prepare, split_validation
from autonl_core.datasets.manifest import manifest_fingerprint, write_manifest
from autonl_core.datasets.scan import list_items, scan
from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import DatasetError


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def colour_zip(path: Path, damaged: dict[str, bytes] | None = None, count: int = 6) -> Path:
    """Two classes, red and blue, whose every pixel is known; `damaged` replaces or adds files."""
    files = {}
    for name, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        for index in range(count):
            files[f"{name}/{index}.png"] = png(Image.new("RGB", (10, 10), colour))
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**files, **(damaged or {})}.items():
            archive.writestr(member, data)
    return path


def pixels(images: ImageSet) -> Images:
    return images.take(np.arange(len(images)))[0].numpy()


def test_digits_are_the_1797_of_scikit_learn_split_as_announced(cache: Path) -> None:
    data = prepare(DIGITS, 8, cache)
    assert (len(data.train), len(data.test)) == (DIGITS.train_images, DIGITS.test_images)
    assert not set(data.train.indices) & set(data.test.indices)
    images, labels = data.test.take(np.arange(len(data.test)))
    assert images.shape == (359, 8, 8, 3)
    assert set(labels.tolist()) == set(range(10))
    assert images.min() == 0
    assert images.max() == 255


def test_mean_and_deviation_are_those_of_the_training_pixels(tmp_path: Path) -> None:
    data = prepare(scan("colours", colour_zip(tmp_path / "c.zip")), 8, tmp_path)
    # half the training images are pure red, half pure blue: channels are 0 or 1 with equal weight, or always 0
    assert data.mean == pytest.approx((0.5, 0.0, 0.5))
    assert data.std[0] == pytest.approx(0.5)
    assert data.std[1] == pytest.approx(1 / 255)  # of a constant channel: one level of a new image is one deviation


@pytest.mark.long
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_colour_mode_becomes_rgb_at_the_resolution(mode: str, tmp_path: Path) -> None:
    image = Image.new(mode, (20, 12))
    buffer = io.BytesIO()
    image.save(buffer, "tiff")
    spec = scan("modes", colour_zip(tmp_path / "m.zip", {"red/0.tif": buffer.getvalue()}))
    data = prepare(spec, 8, tmp_path)
    assert data.report.unreadable == 0
    assert pixels(data.train).shape[1:] == (8, 8, 3)


def test_deep_grey_levels_are_scaled_and_transparency_is_blended_with_white(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.full((10, 10), 32768, dtype=np.uint16))
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    files = {f"blue/{n}.png": png(ramp) for n in range(6)} | {f"red/{n}.png": png(clear) for n in range(6)}
    data = prepare(scan("deep", colour_zip(tmp_path / "d.zip", files)), 8, tmp_path)
    assert set(np.unique(pixels(data.train))) == {128, 255}  # half of 65,535; white


def test_unreadable_images_are_counted_and_named_and_the_rest_is_used(tmp_path: Path) -> None:
    good = png(Image.new("RGB", (10, 10)))
    damaged = {"red/1.png": good[:40], "red/2.png": b"", "blue/3.png": b"not an image"}
    spec = scan("damaged", colour_zip(tmp_path / "d.zip", damaged, count=12))
    data = prepare(spec, 8, tmp_path)
    assert data.report.unreadable == 3
    assert {image.file for image in data.report.problems} == set(damaged)
    assert len(data.train) + len(data.test) == 24 - 3


def test_a_class_without_a_readable_image_is_an_error_that_names_it(tmp_path: Path) -> None:
    damaged = {f"red/{index}.png": b"broken" for index in range(6)}
    spec = scan("lost", colour_zip(tmp_path / "l.zip", damaged))
    with pytest.raises(DatasetError, match=r"'red' \(train: 0 of 2\).*6 files are unreadable"):
        prepare(spec, 8, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []  # nothing half-built stays


def test_a_second_search_reads_the_cache_even_when_the_files_are_gone(tmp_path: Path) -> None:
    archive = colour_zip(tmp_path / "c.zip")
    spec = scan("colours", archive)
    first = prepare(spec, 8, tmp_path)
    archive.unlink()
    second = prepare(spec, 8, tmp_path)
    assert np.array_equal(pixels(first.train), pixels(second.train))
    assert np.array_equal(first.test.indices, second.test.indices)
    with pytest.raises(DatasetError, match=r"c\.zip"):
        prepare(spec, 16, tmp_path)  # another resolution needs the files


def test_the_validation_split_is_stratified_seeded_and_apart(cache: Path) -> None:
    train = prepare(DIGITS, 8, cache).train
    fit, val = split_validation(train, 0.1, seed=0)
    assert len(fit) + len(val) == len(train)
    assert not set(fit.indices) & set(val.indices)
    counts = np.bincount(val.labels[val.indices], minlength=10)
    assert counts.min() >= 13  # a tenth of the 139 to 147 training images of each digit
    assert counts.max() <= 15
    assert np.array_equal(split_validation(train, 0.1, seed=0)[1].indices, val.indices)
    assert not np.array_equal(split_validation(train, 0.1, seed=1)[1].indices, val.indices)


def test_searches_that_start_together_decode_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = scan("colours", colour_zip(tmp_path / "c.zip"))
    begun, waited, builds = threading.Event(), threading.Event(), []

    def slow_build(*arguments: Any) -> None:
        builds.append(arguments)
        begun.set()
        assert waited.wait(30)
        build(*arguments)

    monkeypatch.setattr("autonl_core.data.prepare.build", slow_build)
    found: list[PreparedData] = []
    first = threading.Thread(target=lambda: found.append(prepare(spec, 8, tmp_path / "cache")))
    first.start()
    assert begun.wait(30)
    found.append(prepare(spec, 8, tmp_path / "cache", on_progress=lambda share: waited.set()))  # called while it waits
    first.join(30)
    assert len(builds) == 1
    assert np.array_equal(pixels(found[0].train), pixels(found[1].train))


@pytest.mark.long
def test_another_search_evicts_unused_entries_and_no_others(tmp_path: Path) -> None:
    cache, spec = tmp_path / "cache", scan("colours", colour_zip(tmp_path / "c.zip"))
    small = prepare(spec, 8, cache)
    room = 3 * 24**2 * 12 + 3000
    assert prepare(spec, 24, cache, cache_limit_bytes=room).sharded  # 8 pixels are in use
    del small
    assert not prepare(spec, 24, cache, cache_limit_bytes=room).sharded
    decoded = [path.parent.name for path in cache.rglob("images.npy")]
    assert decoded == [f"{spec.fingerprint}-r24"]


def test_images_of_one_picture_are_never_divided_between_training_and_validation() -> None:
    count = 60
    labels = np.repeat([0, 1, 2], 20)
    groups = np.full(count, OWN_GROUP)
    for number in range(0, count, 4):  # every fourth image is there twice
        groups[number : number + 2] = number
    train = ImageSet(ArrayPixels(np.zeros((count, 4, 4, 3), np.uint8)), labels, np.arange(count), groups)
    divided_without = 0
    for seed in range(10):
        fit, val = split_validation(train, 0.3, seed)
        assert sorted([*fit.indices, *val.indices]) == list(range(count))
        assert not set(groups[fit.indices]) & set(groups[val.indices]) - {OWN_GROUP}
        ungrouped = split_validation(ImageSet(train.pixels, labels, train.indices), 0.3, seed)
        divided_without += bool(set(groups[ungrouped[0].indices]) & set(groups[ungrouped[1].indices]) - {OWN_GROUP})
    assert divided_without == 10


@pytest.mark.long
def test_groups_are_those_of_the_manifest(tmp_path: Path) -> None:
    archive = colour_zip(tmp_path / "c.zip")
    spec = scan("colours", archive)
    items = [
        replace(item, group=7 if item.member in ("red/1.png", "blue/1.png") else None) for item in list_items(spec)
    ]
    manifest = write_manifest(tmp_path, spec.fingerprint, spec.classes, [astuple(item) for item in items])
    checked = replace(spec, manifest=str(manifest), fingerprint=manifest_fingerprint(manifest))
    for limit in (0, 100):
        data = prepare(checked, 8, tmp_path / f"cache-{limit}", cache_limit_bytes=limit)
        assert data.sharded == bool(limit)
        assert data.train.groups is not None
        assert sorted(data.train.groups.tolist()) == [OWN_GROUP] * 10 + [7, 7]
