"""Decoding files as cameras and programs write them: damaged metadata, HEIC and AVIF, files that end too early."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from autonl_core.data.decode import Images, read_image
from autonl_core.dataset_check.inspect_worker import ImageTrait, open_file
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from tests.autonl_core.faulty_images import PICTURE, PLAIN, TURNED, exif_of, faulty_files, saved, short, tag, with_exif

SIDE = 40  # no scaling: the centre square as it is
FAULTS = [pytest.param(kind, data, id=f"{kind}: {fault}") for kind, fault, data in faulty_files()]
pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns about what it ignores


def pixels(data: bytes, side: int = SIDE, **options: Any) -> Images:
    found = read_image(data, side, DEFAULT_LIMITS, **options)
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize(("kind", "data"), FAULTS)
def test_damaged_metadata_cost_no_image(kind: str, data: bytes) -> None:
    """The pixels are those of the file without metadata, in training and in the check."""
    assert np.array_equal(pixels(data), pixels(PLAIN[kind]))
    assert np.array_equal(pixels(data, 8), pixels(PLAIN[kind], 8))
    found, plain = open_file(data, DEFAULT_LIMITS), open_file(PLAIN[kind], DEFAULT_LIMITS)
    assert (found.problem, found.size, found.thumb) == (None, plain.size, plain.thumb)
    assert not found.traits & ImageTrait.ROTATED


def test_there_are_faults_of_every_format() -> None:
    counts = Counter(kind for kind, _, _ in faulty_files())
    assert counts.keys() == set(PLAIN)
    assert sum(counts.values()) > 200


def test_what_was_left_out_is_reported() -> None:
    """A decoder that has to be given the file without metadata, or EXIF data that cannot be read."""
    files = {(kind, fault): data for kind, fault, data in faulty_files()}
    for key in [("png", "checksum of a text"), ("jpeg", "no end"), ("jpeg", "Adobe short"), ("webp", "EXIF: no EXIF")]:
        assert open_file(files[key], DEFAULT_LIMITS).traits == ImageTrait.DAMAGED_METADATA
    for data in PLAIN.values():
        assert open_file(data, DEFAULT_LIMITS).traits == 0


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_an_intact_orientation_is_kept_beside_what_is_damaged(kind: str) -> None:
    """Two faults would be one too many to guess; one of another part leaves the photo upright."""
    turned = {"jpeg": b"\xff\xee\0\7Adobe", "png": b"\0\0\0\1tEXta\0\0\0\0", "webp": b""}[kind]
    options: dict[str, Any] = {"lossless": True} if kind == "webp" else {}
    data = saved(kind.upper(), exif=b"Exif\0\0" + TURNED, **options)
    at = {"jpeg": 2, "png": 33, "webp": len(data)}[kind]
    broken = data[:at] + turned + data[at:]
    if kind == "webp":  # an unknown chunk that claims more than there is
        broken = data + b"abcd\xff\xff\xff\x0f"
        broken = broken[:4] + (len(broken) - 8).to_bytes(4, "little") + broken[8:]
    assert np.array_equal(pixels(broken), pixels(data))
    assert not np.array_equal(pixels(data), pixels(PLAIN[kind]))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.97, 0.99, 0.995])
@pytest.mark.parametrize("kind", sorted(PLAIN))
def test_an_image_without_its_last_pixels_is_not_used(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    options: dict[str, Any] = {"progressive": True} if kind == "progressive" else {}
    data = saved("JPEG" if kind == "progressive" else kind.upper(), noise, **options)
    assert isinstance(pixels(data, 64), np.ndarray)
    assert isinstance(read_image(data[: int(len(data) * share)], 64, DEFAULT_LIMITS), str)


class TestHeif:
    @pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
    def test_pixels_are_those_of_the_picture(self, kind: str) -> None:
        options: dict[str, Any] = {"quality": -1, "chroma": 444} if kind == "HEIF" else {"quality": 100}
        data = saved(kind, **options)
        difference = np.abs(pixels(data).astype(int) - pixels(PLAIN["png"]))
        assert difference.mean() < 2.5
        assert open_file(data, DEFAULT_LIMITS).format == kind

    def test_a_turn_is_made_once(self) -> None:
        """HEIF files say it twice, as a property of the image and in EXIF data, of which the first counts."""
        for number in range(1, 9):
            exif = b"Exif\0\0" + exif_of(tag(0x112, 3, 1, short(number)))
            turned = saved("JPEG", exif=exif, quality=100, subsampling=0)
            both = [pixels(saved(kind, exif=exif, quality=95)) for kind in ("HEIF", "AVIF")]
            for found in both:
                assert np.abs(found.astype(int) - pixels(turned)).mean() < 6, number

    def test_a_phones_grid_of_tiles_is_one_image(self) -> None:
        large = PICTURE.resize((700, 500))
        whole, tiles = (saved("HEIF", large, quality=90, tile_size=size) for size in (0, 256))
        assert open_file(tiles, DEFAULT_LIMITS).size == (700, 500)
        assert np.abs(pixels(whole).astype(int) - pixels(tiles)).mean() < 1

    def test_the_main_image_of_several_is_used(self) -> None:
        other = PICTURE.transpose(Image.Transpose.ROTATE_180)
        data = saved("HEIF", save_all=True, append_images=[other], primary_index=1, quality=-1)
        assert np.array_equal(pixels(data), pixels(saved("HEIF", other, quality=-1)))
        assert open_file(data, DEFAULT_LIMITS).traits == ImageTrait.ANIMATED

    def test_thumbnails_and_transparency(self) -> None:
        """A small copy beside the image is not decoded in its place; transparency is blended with white."""
        large = PICTURE.resize((700, 500))
        small, plain = (saved("HEIF", large, quality=80, thumbnails=sizes) for sizes in ([64], []))
        assert np.array_equal(pixels(small), pixels(plain))
        clear = PICTURE.copy()
        clear.putalpha(0)
        for kind in ("HEIF", "AVIF"):
            data = saved(kind, clear)
            assert pixels(data).min() >= 254
            assert open_file(data, DEFAULT_LIMITS).traits == ImageTrait.ALPHA

    def test_ten_bits(self) -> None:
        """Of colours the upper eight are used; grey is deep."""
        values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
        for mode, planes, trait in (("RGB;16", 3, ImageTrait.DEEP_COLOUR), ("L;16", 1, ImageTrait.DEEP)):
            buffer = io.BytesIO()
            image = np.repeat(values[..., None], planes, axis=2).tobytes()
            pillow_heif.from_bytes(mode, (64, 64), image).save(buffer, quality=-1)
            assert open_file(buffer.getvalue(), DEFAULT_LIMITS).traits == trait
            found = pixels(buffer.getvalue(), 64, grey_range=(0.0, 65535.0))[..., 0]
            assert np.abs(found.astype(int) - np.round(values / 257)).max() <= 2

    @pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
    def test_a_container_says_in_its_list_what_is_in_it(self, kind: str) -> None:
        """Some cameras name the container first, and the coding after it."""
        data = saved(kind, quality=90)
        other = data[:8] + b"mif1" + data[12:]
        if data[8:12] not in other[12:64]:
            other = other[:12] + bytes(4) + data[8:12] + other[20:]
        assert np.array_equal(pixels(other), pixels(data))

    @pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
    def test_limits(self, kind: str) -> None:
        data = saved(kind)
        found = read_image(data, 8, Limits(image_pixels=WIDTH_BY_HEIGHT - 1))
        assert found == f"56x40 pixels exceed the limit of 2,239 for a {kind} image; resize it"
        declared = data.index(b"ispe") + 8
        huge = data[:declared] + (30_000).to_bytes(4, "big") * 2 + data[declared + 8 :]
        assert isinstance(read_image(huge, 8, DEFAULT_LIMITS), str)
        crowded = data[: data.index(b"meta") - 4] + b"\0\0\0\x08free" * 10_000 + data[data.index(b"meta") - 4 :]
        assert read_image(crowded, 8, DEFAULT_LIMITS) == (
            "the file ends before its image does, or consists of too many parts"
        )


WIDTH_BY_HEIGHT = 56 * 40


def test_exif_data_of_heif_files_are_replaced_as_meant() -> None:
    """The faults above are in the files: one of them shows when it is looked for."""
    assert b"II*\0" in with_exif("heif", TURNED)
    assert TURNED in with_exif("avif", TURNED)
