"""The check of deep images: their range, how many levels remain, and what else is said about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autonl_core.data.decode import read_image
from autonl_core.data.prepare import prepare
from autonl_core.dataset_check.check import Checked, check_dataset
from autonl_core.dataset_check.inspect import Images, inspect
from autonl_core.dataset_check.inspectors import Inspectors
from autonl_core.datasets.limits import DEFAULT_LIMITS
from tests.autonl_core.deep_images import Values, colour_png, deep_png, deep_tiff, pgm, scene
from tests.autonl_core.faulty_images import PLAIN, chunk
from tests.autonl_core.photo_like_images import encoded, packed, photo

Files = dict[str, bytes]
CLASSES = ("cold", "warm")


def thermal(count: int = 25, low: float = 7600, span: float = 800, *, split: str = "", first: int = 0) -> Files:
    return {
        f"{split}{name}/{n:03}.png": deep_png(low + span * scene(first + 2 * n + bright, bright=bool(bright)))
        for n in range(count)
        for bright, name in enumerate(CLASSES)
    }


def check(folder: Path, files: Files) -> Checked:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return check_dataset("deep", packed(folder / "deep.zip", files), work)


def findings(checked: Checked) -> dict[str, tuple[str, int, str]]:
    """Severity, count and text by code, without those about duplicates and the drawn split."""
    found = {p.code: (p.severity, p.count, p.detail) for p in checked.report.problems}
    others = ("near_duplicates", "images_alike", "test_split_drawn")
    return {code: values for code, values in found.items() if code not in others}


def levels_of(checked: Checked, folder: Path) -> int:
    """How many grey levels reach a network."""
    assert checked.spec is not None
    data = prepare(checked.spec, 32, folder / "cache")
    images, _ = data.train.take(np.arange(len(data.train)))
    return len(np.unique(images.numpy()))


@pytest.mark.parametrize(("low", "span"), [(7600, 800), (0, 4095), (30_000, 500), (0, 65_535)])
@pytest.mark.long
def test_the_range_of_the_training_images_is_used(tmp_path: Path, low: int, span: int) -> None:
    checked = check(tmp_path, thermal(low=low, span=span))
    assert checked.spec is not None
    assert checked.spec.grey_range is not None
    black, white = checked.spec.grey_range
    assert low - 0.1 * span <= black < white <= low + 1.1 * span
    assert white - black >= 0.4 * span
    found = findings(checked)
    severity, count, text = found.pop("deep")
    assert found == {}
    assert (severity, count) == ("info", 50)
    assert f"{black:,.12g} becomes black and {white:,.12g} white in all of them" in text
    assert f"({int(white - black) + 1:,} whole numbers) become 256 grey levels" in text
    assert levels_of(checked, tmp_path) >= 180


@pytest.mark.long
def test_defective_pixels_and_damaged_images_change_no_contrast(tmp_path: Path) -> None:
    files = thermal()
    for number, name in enumerate(files):
        values: Values = 7600 + 800 * scene(number, bright=bool(number % 2))
        values[number % 32, 5], values[7, number % 32] = 65535, 0
        files[name] = deep_png(values)
    files["cold/003.png"] = deep_png(np.full((32, 32), 65535))
    checked = check(tmp_path, files)
    assert checked.spec is not None
    assert checked.spec.grey_range is not None
    assert checked.spec.grey_range[1] < 8500
    assert levels_of(checked, tmp_path) >= 180
    assert findings(checked).keys() == {"deep"}


def test_test_images_have_no_part_in_it(tmp_path: Path) -> None:
    train = thermal(split="train/")
    usual, bright = (check(tmp_path, train | thermal(5, low, split="test/", first=500)) for low in (7600, 20_000))
    assert usual.spec is not None
    assert bright.spec is not None
    assert usual.spec.grey_range == bright.spec.grey_range


def test_deep_test_images_count_if_no_training_image_is_deep(tmp_path: Path) -> None:
    files = {
        f"train/{name}/{n}.png": encoded(photo(2 * n + k, 32)) for n in range(20) for k, name in enumerate(CLASSES)
    }
    checked = check(tmp_path, files | thermal(5, split="test/"))
    assert checked.spec is not None
    assert checked.spec.grey_range is not None
    assert 7600 <= checked.spec.grey_range[0] < checked.spec.grey_range[1] <= 8450


def test_without_deep_images_there_is_none(tmp_path: Path) -> None:
    files = {f"{name}/{n}.png": encoded(photo(2 * n + k, 32)) for n in range(25) for k, name in enumerate(CLASSES)}
    checked = check(tmp_path, files)
    assert checked.spec is not None
    assert checked.spec.grey_range is None
    assert findings(checked) == {}


@pytest.mark.long
@pytest.mark.parametrize("kind", ["Kelvin", "PGM whose white is its brightest value", "32 bits"])
def test_other_kinds(tmp_path: Path, kind: str) -> None:
    files: Files = {}
    for number in range(50):
        share = scene(number, bright=bool(number % 2))
        values = np.round(500 + 1000 * share)
        files[f"{CLASSES[number % 2]}/{number:03}.pgm"] = {
            "Kelvin": deep_tiff(np.where(share > 0.2, 280 + 40 * share, np.nan), "float32"),
            "PGM whose white is its brightest value": pgm(values, int(values.max())),
            "32 bits": deep_tiff(-(10**6) + 10**6 * share, "int32"),
        }[kind]
    checked = check(tmp_path, files)
    assert findings(checked).keys() == {"deep"}
    assert levels_of(checked, tmp_path) >= 180


def test_two_cameras_of_different_values_lose_contrast_and_a_warning_says_so(tmp_path: Path) -> None:
    files = thermal() | {name.replace(".", "b."): data for name, data in thermal(12, 30_000, 900).items()}
    severity, count, text = findings(check(tmp_path, files))["few_grey_levels"]
    assert (severity, count) == ("warning", 74)
    assert "nearly all contrast is lost: in 8 bits, the usual deep image spans" in text


def test_colours_of_twelve_bits_in_sixteen(tmp_path: Path) -> None:
    """Pillow reads the upper 8 of 16 bits: of 12 bits, 16 levels are left."""
    files = {}
    for share, code in ((4095, {"deep_colour", "few_grey_levels"}), (65535, {"deep_colour"})):
        for n in range(50):
            files[f"{CLASSES[n % 2]}/{n:03}.png"] = colour_png(np.repeat(share * scene(n)[..., None], 3, axis=2))
        found = findings(check(tmp_path, files))
        assert found.keys() == code
    assert found["deep_colour"][:2] == ("info", 50)


def test_classes_that_differ_in_depth(tmp_path: Path) -> None:
    photos = {f"photos/{n:03}.png": encoded(photo(n, 32)) for n in range(25)}
    separate = {name: data for name, data in thermal().items() if name.startswith("warm")}
    assert findings(check(tmp_path, photos | separate))["depth_by_class"][:2] == ("warning", 0)
    mixed = {f"{name}/more-{n}.png": encoded(photo(2 * n + k, 32)) for n in range(9) for k, name in enumerate(CLASSES)}
    assert findings(check(tmp_path, thermal() | mixed)).keys() == {"deep"}


def test_damaged_metadata_are_reported_and_the_images_used(tmp_path: Path) -> None:
    files = {f"{name}/{n:03}.png": encoded(photo(2 * n + k, 32)) for n in range(25) for k, name in enumerate(CLASSES)}
    png = files["warm/007.png"]
    files["warm/007.png"] = png[:33] + chunk(b"tEXt", b"a\0b", 1) + png[33:]
    jpeg = encoded(photo(999, 32), "JPEG", quality=95)
    files["cold/photo.jpg"] = jpeg[:-2]
    checked = check(tmp_path, files)
    severity, count, _ = findings(checked).pop("damaged_metadata")
    assert (severity, count) == ("info", 2)
    assert checked.report.images == len(files)
    assert checked.report.sheets == 2


class TestInspection:
    """What is compared is what a network sees: the same as of eight-bit images of the same picture."""

    def inspected(self, folder: Path, files: Files, processes: int = 1) -> tuple[np.ndarray, ...]:
        source = Images("zip", packed(folder / "i.zip", files), list(files), "content")
        found = inspect(source, DEFAULT_LIMITS, folder, inspectors=Inspectors(processes))
        assert found.problems == {}
        return found.descriptors, found.means, found.traits, found.ranges

    def test_descriptors_are_those_of_eight_bit_images(self, tmp_path: Path) -> None:
        shares = [scene(n, bright=bool(n % 2)) for n in range(20)]
        shares = [(share - 0.1) / 0.8 for share in shares]  # so that the range of all is about 0 to 1
        deep, means, *_ = self.inspected(tmp_path, {f"{n}": deep_png(7600 + 800 * s) for n, s in enumerate(shares)})
        eight = {f"{n}": encoded(Image.fromarray(_stretched(s, shares))) for n, s in enumerate(shares)}
        expected, expected_means, *_ = self.inspected(tmp_path, eight)
        assert np.abs(deep - expected).max() < 0.05
        assert np.abs(means - expected_means).max() < 12

    @pytest.mark.long
    def test_the_number_of_processes_changes_nothing(self, tmp_path: Path) -> None:
        files = thermal(200) | {"photo.png": encoded(photo(1, 32)), "plain.jpg": PLAIN["jpeg"]}
        first = self.inspected(tmp_path, files, 1)
        for again in (self.inspected(tmp_path, files, count) for count in (2, 5)):
            assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))

    def test_different_pictures_of_little_contrast_are_not_the_same(self, tmp_path: Path) -> None:
        checked = check(tmp_path, thermal(40))
        assert checked.report.duplicates["left_out"] == 0
        assert checked.report.duplicates["exact"] == 0


def _stretched(share: Values, all_shares: list[Values]) -> np.ndarray:
    """Eight bits, from the same range as the check finds for all."""
    ends = [np.sort(each.ravel())[[4, -5]] for each in all_shares]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return np.round(255 * ((share - low) / (high - low)).clip(0, 1)).astype(np.uint8)


def test_the_sheet_shows_what_a_network_gets(tmp_path: Path) -> None:
    checked = check(tmp_path, thermal())
    assert checked.spec is not None
    with Image.open(checked.sheets[0]) as sheet:
        tile = np.asarray(sheet.convert("L"))[:64, :64].astype(int)
    image = read_image(thermal()["cold/000.png"], 64, DEFAULT_LIMITS, grey_range=checked.spec.grey_range)
    assert not isinstance(image, str)
    assert np.abs(tile - image[..., 0]).mean() < 5
