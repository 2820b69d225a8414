"""Whole pictures: their exact sizes and pixels, rows in step with those of centre squares, stored or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autonl_core.data.decode import Images, read_image
from autonl_core.data.pictures import Pictures, prepare_pictures
from autonl_core.data.pixels import CachedPixels
from autonl_core.data.prepare import prepare
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.scan import list_items, scan
from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import DatasetError
from tests.autonl_core.data.picture_zips import ROTATED, encoded, noise, picture_zip

SIDE = 24
TOO_LITTLE = 10_000  # bytes: less than the pictures of any dataset here take when decoded


def whole(data: bytes, side: int = SIDE) -> Images:
    picture = read_image(data, side, DEFAULT_LIMITS, "whole")
    assert not isinstance(picture, str), picture
    return picture


def everything(pictures: Pictures) -> list[Images]:
    return pictures.read(np.arange(len(pictures)))


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (60, 40, (16, 24)),  # height and width
        (40, 60, (24, 16)),
        (30, 20, (16, 24)),
        (10, 7, (7, 10)),  # never scaled up
        (24, 24, (24, 24)),
        (300, 1, (1, 24)),
        (1, 300, (24, 1)),
        (500, 333, (16, 24)),  # 24 * 333 / 500 is 15.98; a JPEG of this size is decoded at an eighth
    ],
)
def test_the_longer_side_is_the_limit_and_the_shape_is_kept(width: int, height: int, expected: tuple[int, int]) -> None:
    for kind in ("png", "jpeg"):
        assert whole(encoded(noise(width, height), kind)).shape == (*expected, 3)


def test_pixels_are_those_of_the_file_or_of_the_scaled_picture() -> None:
    small, large = noise(10, 7), noise(40, 30)
    assert np.array_equal(whole(encoded(small)), np.asarray(small))
    assert np.array_equal(whole(encoded(large)), np.asarray(large.resize((24, 18), Image.Resampling.BILINEAR)))


def test_a_picture_that_is_stored_on_its_side_is_put_upright() -> None:
    lying = Image.new("RGB", (60, 40), "blue")
    lying.paste("red", (0, 0, 30, 40))  # its left half, which is the upper half of the upright picture
    for kind in ("jpeg", "png"):
        upright = whole(encoded(lying, kind, ROTATED)).astype(int)
        assert upright.shape == (24, 16, 3)
        assert np.abs(upright[:10] - (255, 0, 0)).max() < 10  # a JPEG is not exact
        assert np.abs(upright[14:] - (0, 0, 255)).max() < 10


def test_grey_levels_and_transparency_become_rgb() -> None:
    grey = whole(encoded(Image.new("L", (20, 10), 77)))
    assert grey.shape == (10, 20, 3)
    assert set(grey.ravel()) == {77}
    clear = whole(encoded(Image.new("RGBA", (10, 20), (0, 0, 0, 0))))
    assert clear.shape == (20, 10, 3)
    assert set(clear.ravel()) == {255}


@pytest.mark.long
def test_rows_are_those_of_the_centre_squares_when_files_are_unreadable(tmp_path: Path) -> None:
    good = encoded(noise(30, 30))
    damaged = {"a/1.png": good[:200], "b/0.png": b"", "b/5.png": b"not an image"}
    spec = scan("damaged", picture_zip(tmp_path / "z.zip", damaged))
    data, pictures = prepare(spec, 8, tmp_path / "cache"), prepare_pictures(spec, SIDE, tmp_path / "cache")
    pictures.require_rows_of(data)
    assert pictures.report.unreadable == 3
    assert len(pictures) == len(data.train) + len(data.test) == 13
    readable = [item for item in list_items(spec) if item.member not in damaged]
    for row, (item, picture) in enumerate(zip(readable, everything(pictures), strict=True)):
        label, name = item.member.split("/")
        number = int(name.removesuffix(".png"))
        file = encoded(noise(28 + number % 13, 20 + 9 * (number % 4), 100 * (label == "b") + number))
        assert np.array_equal(picture, whole(file))
        square = read_image(file, 8, DEFAULT_LIMITS)
        assert np.array_equal(data.train.pixels.read(np.array([row]))[0], square)
        assert pictures.labels[row] == data.train.labels[row] == item.label


@pytest.mark.long
@pytest.mark.parametrize("readers", [False, True])
def test_without_room_the_same_pictures_are_decoded_each_time(
    readers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if readers:
        monkeypatch.setattr("autonl_core.data.build.ALONE_IMAGES", 0)
        monkeypatch.setattr("autonl_core.data.build._CHUNK_IMAGES", 5)
    others = {"a/lying.jpg": encoded(noise(60, 40), "jpeg", ROTATED), "b/2.png": b"damaged"}
    spec = scan("z", picture_zip(tmp_path / "z.zip", others))
    cached = prepare_pictures(spec, SIDE, tmp_path / "cached")
    sharded = prepare_pictures(spec, SIDE, tmp_path / "sharded", cache_limit_bytes=TOO_LITTLE)
    assert (cached.sharded, sharded.sharded) == (False, True)
    assert np.array_equal(cached.sizes, sharded.sizes)
    assert cached.report == sharded.report
    rows = [np.array([3, 0, 9]), np.array([15]), np.arange(16)]
    for batch, other in zip(cached.read_ahead(rows), sharded.read_ahead(rows), strict=True):
        assert [picture.shape for picture in batch] == [picture.shape for picture in other]
        assert all(np.array_equal(picture, again) for picture, again in zip(batch, other, strict=True))
        assert all(picture.any(axis=(1, 2)).all() and picture.any(axis=(0, 2)).all() for picture in batch)  # no margin


@pytest.mark.long
def test_pictures_have_an_entry_of_their_own_that_outlives_the_files(tmp_path: Path) -> None:
    archive = picture_zip(tmp_path / "z.zip")
    spec = scan("z", archive)
    prepare(spec, SIDE, tmp_path / "cache")
    first = prepare_pictures(spec, SIDE, tmp_path / "cache")
    archive.unlink()
    again = prepare_pictures(spec, SIDE, tmp_path / "cache")
    assert isinstance(again.pixels, CachedPixels)
    assert again.pixels.path.parent.name == f"{spec.fingerprint}-p{SIDE}"
    assert all(np.array_equal(a, b) for a, b in zip(everything(first), everything(again), strict=True))


def test_margins_do_not_count_in_the_channel_statistics(tmp_path: Path) -> None:
    white = {f"{label}/{n}.png": encoded(Image.new("RGB", (20, 5 + n), "white")) for label in "ab" for n in range(8)}
    report = prepare_pictures(scan("w", picture_zip(tmp_path / "z.zip", white)), SIDE, tmp_path / "cache").report
    assert report.mean == (1.0, 1.0, 1.0)


@pytest.mark.long
def test_the_digits_stay_at_their_own_size(tmp_path: Path) -> None:
    pictures, data = prepare_pictures(DIGITS, 12, tmp_path), prepare(DIGITS, 8, tmp_path)
    assert (pictures.sizes == 8).all()
    rows = data.test.indices
    assert np.array_equal(np.stack(pictures.read(rows)), data.test.pixels.read(rows))


@pytest.mark.long
def test_pictures_prepared_with_other_limits_are_refused(tmp_path: Path) -> None:
    spec = scan("z", picture_zip(tmp_path / "z.zip"))
    data = prepare(spec, 8, tmp_path / "cache")
    strict = replace(DEFAULT_LIMITS, image_pixels=1_600)  # a/7 and b/7 have 35 x 47, the next 31 x 47
    pictures = prepare_pictures(spec, SIDE, tmp_path / "cache", limits=strict)
    with pytest.raises(DatasetError, match=r"2 images were left out of the pictures at 24 .* 0 of the images at 8"):
        pictures.require_rows_of(data)
