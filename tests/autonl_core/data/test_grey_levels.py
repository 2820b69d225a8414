"""Deep images: one range serves a dataset, and no single pixel, image or file changes it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from autonl_core.data.decode import Images, read_image
from autonl_core.data.decode_pool import Readers
from autonl_core.data.find_grey_range import with_grey_range
from autonl_core.data.grey_levels import common_range, range_of_image, to_levels
from autonl_core.data.listing import list_files
from autonl_core.data.prepare import prepare
from autonl_core.datasets.image_files import open_image
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.scan import scan
from autonl_core.datasets.spec import DIGITS, DatasetSpec, GreyRange
from tests.autonl_core.deep_images import deep_png, deep_tiff, pgm, scene, signed_tiff
from tests.autonl_core.photo_like_images import encoded, packed, photo

FULL = np.linspace(0, 1, 4096).reshape(64, 64)  # every share of a range, once
KINDS = {  # how a share of 0 to 1 is stored, and the values of 0 and 1
    "thermal, 7600 to 8400": (lambda share: deep_png(7600 + 800 * share), 7600, 8400),
    "X-ray, 12 bits": (lambda share: deep_png(4095 * share), 0, 4095),
    "16 bits": (lambda share: deep_png(65535 * share), 0, 65535),
    "TIFF, 10 bits": (lambda share: deep_tiff(1023 * share, "uint16"), 0, 1023),
    "float, 0 to 1": (lambda share: deep_tiff(share, "float32"), 0, 1),
    "float, dark": (lambda share: deep_tiff(0.01 * share, "float32"), 0, 0.01),
    "Kelvin": (lambda share: deep_tiff(280 + 40 * share, "float32"), 280, 320),
    "negative": (lambda share: deep_tiff(-3 + 5 * share, "float32"), -3, 2),
    "Hounsfield, with a sign": (lambda share: signed_tiff(-1000 + 4000 * share), -1000, 3000),
    "32 bits": (lambda share: deep_tiff(-(10**6) + 10**7 * share, "int32"), -(10**6), 9 * 10**6),
    "PGM of 1000": (lambda share: pgm(1000 * share, 1000), 0, 1000),
    "PGM of 300, plain": (lambda share: pgm(300 * share, 300, plain=True), 0, 300),
    "PGM of 100": (lambda share: pgm(100 * share, 100), 0, 100),
    "PGM of 65535": (lambda share: pgm(20_000 + 9_000 * share, 65535), 20_000, 29_000),
}  # fmt: skip


def opened(data: bytes) -> Image.Image:
    return open_image(data)


def found_range(data: bytes) -> GreyRange:
    found = range_of_image(opened(data))
    assert found is not None
    return found


def decoded(data: bytes, side: int, grey_range: GreyRange | None) -> Images:
    image = read_image(data, side, DEFAULT_LIMITS, grey_range=grey_range)
    assert not isinstance(image, str), image
    return image


def written(values: NDArray[np.generic]) -> bytes:
    """A 16-bit file of some values."""
    return deep_png(np.asarray(values))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_uses_nearly_all_grey_levels(kind: str) -> None:
    """Whatever its values are, dark becomes black and bright becomes white, and no order of values is lost."""
    encode, low, high = KINDS[kind]
    found = found_range(encode(FULL))
    span = high - low
    assert low - 0.01 * span <= found[0] < found[1] <= high + 0.01 * span
    common = common_range([found] * 9, [0] * 9)
    assert common is not None
    levels = decoded(encode(FULL), 64, common)[..., 0].ravel().astype(int)
    assert levels[0] <= 8
    assert levels[-1] >= 247
    assert (np.diff(levels) >= 0).all()
    assert len(np.unique(levels)) >= min(240, span + 1 if span > 50 else 240, 95 if kind[-3:] == "100" else 240)


def test_levels_by_hand() -> None:
    """round((clip(v, low, high) - low) * 255 / (high - low)), half to even."""
    values = np.array([[7000.0, 7600, 7601, 7602, 8000, 8400, 9000]])
    assert to_levels(values, (7600.0, 8400.0)).tolist() == [[0, 0, 0, 1, 128, 255, 255]]
    odd = np.array([[np.nan, np.inf, -np.inf, -3.4e38, 3.4e38, 0.5]])
    assert to_levels(odd, (0.0, 1.0)).tolist() == [[0, 255, 0, 0, 255, 128]]


def test_the_same_range_for_all_images() -> None:
    """A value has one grey level, whatever else is in its image."""
    plain, with_hot = np.full((16, 16), 8000), np.full((16, 16), 8000)
    with_hot[3, 3] = 65535
    for encode in (deep_png, lambda values: deep_tiff(values, "int32"), lambda values: deep_tiff(values, "float32")):
        assert decoded(encode(plain), 16, (7600.0, 8400.0))[0, 0].tolist() == [128] * 3
        assert decoded(encode(with_hot), 16, (7600.0, 8400.0))[0, 0].tolist() == [128] * 3


def test_the_white_of_a_pgm_file_changes_no_level() -> None:
    """Some cameras write the brightest value of each picture as its white."""
    values = np.full((8, 8), 300)
    files = [pgm(values, maxval, plain=plain) for maxval in (300, 500, 4095, 65535) for plain in (False, True)]
    found = [decoded(data, 8, (0.0, 1000.0))[0, 0, 0] for data in files]
    assert found == [round(300 * 255 / 1000)] * 8
    small = np.full((8, 8), 30)
    assert [decoded(pgm(small, maxval), 8, (0.0, 60.0))[0, 0, 0] for maxval in (30, 60, 100)] == [128] * 3


class TestRangeOfAnImage:
    @given(at=st.integers(0, 32 * 32 - 1), value=st.sampled_from([0, 1, 100, 7000, 9000, 40_000, 65_535]))
    def test_one_pixel_changes_hardly_anything(self, at: int, value: int) -> None:
        values = (7600 + 800 * scene(5)).astype(np.uint16)
        low, high = found_range(written(values))
        values.ravel()[at] = value
        changed = found_range(written(values))
        assert abs(changed[0] - low) <= 0.1 * (high - low)
        assert abs(changed[1] - high) <= 0.1 * (high - low)

    def test_values_that_were_not_measured(self) -> None:
        """Borders of a turned picture, gaps of a map, and what is no number."""
        values = 280 + 40 * scene(6)
        for fill in (0, -9999, 65535, np.nan, np.inf, -np.inf, -3.4e38):
            with_gaps = values.copy()
            with_gaps[:, :9] = fill
            low, high = found_range(deep_tiff(with_gaps, "float32"))
            assert 280 <= low < high <= 320, fill
        both = values.copy()
        both[:9], both[-9:] = 0, 65535
        low, high = found_range(deep_tiff(both, "float32"))
        assert 280 <= low < high <= 320

    def test_black_that_is_part_of_the_picture_counts(self) -> None:
        values = np.where(scene(7) > 0.5, 500 + 3000 * scene(8), 0)
        assert found_range(written(values))[0] == 0
        assert found_range(written(np.where(scene(7) > 0.5, 60_000, 0))) == (0, 60_000)  # a mask

    def test_no_number_at_all(self) -> None:
        assert range_of_image(opened(deep_tiff(np.full((8, 8), np.nan), "float32"))) is None

    def test_a_large_image_is_sampled_in_bands(self) -> None:
        values = np.linspace(1000, 2000, 3000 * 700).reshape(3000, 700)
        low, high = found_range(written(values))
        assert 1000 <= low <= 1005
        assert 1990 <= high <= 2000


class TestCommonRange:
    def test_damaged_images_do_not_count(self) -> None:
        """Of a hundred, two on each side; of nine, one."""
        good = [(7600.0 + n, 8400.0 - n) for n in range(98)]
        assert common_range([*good, (0.0, 65535.0), (0.0, 65535.0)], [0] * 100) == common_range(good, [0] * 98)
        few = [(7600.0, 8400.0)] * 8
        assert common_range([*few, (0.0, 65535.0)], [0] * 9) == common_range(few, [0] * 8)

    def test_a_rare_class_that_is_brighter_counts(self) -> None:
        dim, bright = (7600.0, 8400.0), (11_000.0, 12_000.0)
        found = common_range([dim] * 500 + [bright] * 4, [0] * 500 + [1] * 4)
        assert found is not None
        assert found[0] <= 7600
        assert found[1] >= 12_000

    @given(st.permutations([(7600.0 + 7 * n, 8300.0 + 11 * n, n % 3) for n in range(12)]))
    def test_the_order_of_images_is_of_no_importance(self, images: list[tuple[float, float, int]]) -> None:
        expected = common_range([(7600.0 + 7 * n, 8300.0 + 11 * n) for n in range(12)], [n % 3 for n in range(12)])
        assert common_range([image[:2] for image in images], [image[2] for image in images]) == expected

    def test_usual_ranges_are_used_whole(self) -> None:
        """12 bits of which some are unused, and numbers between 0 and 1."""
        assert common_range([(30.0, 3900.0)], [0]) == (0.0, 4095.0)
        assert common_range([(0.02, 0.97)], [0]) == (0.0, 1.0)
        assert common_range([(700.0, 65_000.0)], [0]) == (0.0, 65_535.0)

    def test_other_ranges_get_a_margin(self) -> None:
        """2% on either side, in round numbers; values that are never negative stay so."""
        assert common_range([(7600.0, 8400.0)], [0]) == (7580.0, 8420.0)
        assert common_range([(2.0, 600.0)], [0]) == (0.0, 620.0)
        assert common_range([(-3.0, 2.0)], [0]) == (-3.1, 2.1)

    def test_equal_values_make_a_range_too(self) -> None:
        for value in (0.0, 5.0, 8000.0, -2.0):
            found = common_range([(value, value)] * 3, [0] * 3)
            assert found is not None
            assert found[0] < found[1]

    def test_without_images(self) -> None:
        assert common_range([], []) is None


@pytest.mark.parametrize("kind", ["I;16", "I", "F", "L"])
def test_datasets_without_a_range_keep_their_pixels(kind: str) -> None:
    """As before ranges were found: 16 bits from 0 to 65535, others by their brightest pixel."""
    values = np.arange(64).reshape(8, 8) * 1000
    files: dict[str, tuple[bytes, NDArray[np.float64]]] = {
        "I;16": (deep_png(values), values * 255 / 65535),
        "I": (deep_tiff(values, "int32"), values * 255 / 65535),
        "F": (deep_tiff(values / 63_000, "float32"), values * 255 / 63_000),
        "L": (pgm(values // 1000, 63), values // 1000 * 255 / 63),
    }
    data, expected = files[kind]
    assert np.abs(decoded(data, 8, None)[..., 0] - expected).max() <= 0.5 + 1e-6


def folder_of(path: Path, *, seed: int = 0, count: int = 8) -> Path:
    """Two classes of thermal images, with a defective pixel in each, and an ordinary photo in one."""
    files = {f"warm/{seed}.png": encoded(photo(seed, 32))}
    for number in range(count):
        for bright, name in enumerate(("cold", "warm")):
            values = 7600 + 800 * scene(seed + 2 * number + bright, bright=bool(bright))
            values[number, number] = 65535
            files[f"{name}/{number}.png"] = deep_png(values)
    return packed(path, files)


class TestDatasets:
    @pytest.fixture
    def thermal(self, tmp_path: Path) -> DatasetSpec:
        return scan("thermal", folder_of(tmp_path / "thermal.zip"))

    def test_a_folder_that_no_check_has_seen(self, thermal: DatasetSpec) -> None:
        found = with_grey_range(thermal).grey_range
        assert found is not None
        assert 7600 <= found[0] < 7800
        assert 8200 < found[1] <= 8450
        assert with_grey_range(thermal) == with_grey_range(thermal)

    def test_none_is_sought_where_a_check_has_looked_and_in_what_is_built_in(
        self, thermal: DatasetSpec, tmp_path: Path
    ) -> None:
        checked = replace(thermal, manifest="/m.manifest.json")
        assert with_grey_range(checked) is checked
        assert with_grey_range(DIGITS) is DIGITS
        photos = packed(tmp_path / "p.zip", {f"{c}/{n}.jpg": encoded(photo(n), "JPEG") for c in "ab" for n in range(5)})
        assert with_grey_range(scan("photos", photos)).grey_range is None

    @pytest.mark.long
    def test_prepared_images_are_those_of_the_range(self, thermal: DatasetSpec, tmp_path: Path) -> None:
        """Stored or decoded each time, and never those of an earlier preparation without it."""
        ranged = with_grey_range(thermal)
        before = prepare(thermal, 16, tmp_path / "cache")
        data = prepare(ranged, 16, tmp_path / "cache")
        sharded = prepare(ranged, 16, tmp_path / "other", cache_limit_bytes=1000)
        rows = np.arange(len(data.train))
        stored, _ = data.train.take(rows)
        assert sharded.sharded
        assert np.array_equal(stored, sharded.train.take(rows)[0])
        assert data.grey_range == ranged.grey_range
        contrast = stored.numpy().std(axis=(1, 2, 3))
        assert np.median(contrast) > 20
        assert np.median(before.train.take(rows)[0].numpy().std(axis=(1, 2, 3))) < 3
        mark = {path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()}
        assert len(mark) == 2

    def test_readers_get_it(self, thermal: DatasetSpec, tmp_path: Path) -> None:
        with zipfile.ZipFile(thermal.location) as archive:
            names = [name for name in archive.namelist() if name.startswith("cold")]
            expected = [decoded(archive.read(name), 16, (7600.0, 8400.0)) for name in names]
        listing = list_files("zip", Path(thermal.location), names, DEFAULT_LIMITS)
        listing.save(tmp_path)
        readers = Readers(tmp_path, listing, 16, DEFAULT_LIMITS, 2, grey_range=(7600.0, 8400.0))
        assert np.array_equal(readers.decode(np.arange(len(names))).images, np.stack(expected))

    def test_it_is_stored_with_the_dataset(self, thermal: DatasetSpec) -> None:
        ranged = replace(thermal, grey_range=(7600.0, 8400.0))
        assert DatasetSpec.from_json(ranged.to_json()) == ranged
        stored = thermal.to_json()
        del stored["grey_range"]  # as an earlier version wrote it
        assert DatasetSpec.from_json(stored) == thermal


def test_one_bit_palettes_and_eight_bits_never_use_it() -> None:
    grey = photo(3, 16).convert("L")
    for image in (grey, grey.convert("1"), grey.quantize(8), grey.convert("RGB"), grey.convert("LA")):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        with_range, without = (decoded(buffer.getvalue(), 16, used) for used in ((7600.0, 8400.0), None))
        assert np.array_equal(with_range, without)
    assert np.array_equal(decoded(pgm(np.asarray(grey), 255), 16, (0.0, 9.0))[..., 0], np.asarray(grey))
