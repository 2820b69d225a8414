"""Whole checks of datasets whose images look alike: none is left out, and copies among them are still found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from autonl_core.dataset_check.check import Checked, check_dataset
from autonl_core.datasets.check_report import DatasetReport, SamePicture
from autonl_core.datasets.scan import list_items
from tests.autonl_core import alike_images as alike
from tests.autonl_core.photo_like_images import encoded, packed, photo

COUNT, TESTED = 40, 8  # images of each of two classes, and those of them that are for testing
Make = Callable[[np.random.Generator, bool], Image.Image]  # an image of the first class, or of the second


def part_before_a_fixed_camera(rng: np.random.Generator, defect: bool) -> Image.Image:
    image = alike.exposed(alike.scene(96), rng, light=1 + rng.normal(0, 0.015))
    return alike.scratched(image, rng) if defect else image


def deep(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As a thermal camera saves it: 16 bits, of which 800 values are used."""
    levels = np.asarray(image.convert("L"), np.float64) + rng.uniform(0, 1, (image.height, image.width))
    return Image.fromarray((7600 + 800 / 256 * levels).astype(np.uint16))


SETS: dict[str, Make] = {
    "fixed camera": part_before_a_fixed_camera,
    "jig": lambda rng, second: alike.part_on_a_jig(rng, defect=second),
    "swatches": lambda rng, second: alike.swatch(rng, 0.6 if second else 0.0),
    "thermal": lambda rng, second: alike.thermal(rng, hot=second),
    "deep thermal": lambda rng, second: deep(alike.thermal(rng, hot=second), rng),
    "weaves": lambda rng, second: alike.weave(rng),
    "arrows": lambda rng, second: alike.arrow(rng, right=second),
    "forms": lambda rng, second: alike.form(rng, 300 if second else 299),
    "icons": lambda rng, second: alike.icon(rng),
    "nights": lambda rng, second: alike.night(rng),
    "screens": lambda rng, second: alike.screen(int(rng.integers(10**5))),
}


def files_of(make: Make, *, split: bool) -> dict[str, bytes]:
    rng = np.random.default_rng(22)
    return {
        f"{('test/' if number < TESTED else 'train/') if split else ''}{name}/{number:03}.png": encoded(
            make(rng, name == "second")
        )
        for name in ("first", "second")
        for number in range(COUNT)
    }


def check(folder: Path, files: dict[str, bytes], duplicates: Literal["keep", "leave-out"] = "leave-out") -> Checked:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return check_dataset("parts", packed(folder / "parts.zip", files), work, duplicates=duplicates)


def codes(report: DatasetReport) -> set[str]:
    return {problem.code for problem in report.problems}


@pytest.mark.long
@pytest.mark.parametrize("name", SETS)
def test_nearly_all_images_of_different_things_are_used(tmp_path: Path, name: str) -> None:
    files = files_of(SETS[name], split=True)
    different = len(set(files.values()))
    checked = check(tmp_path, files)
    assert checked.spec is not None
    assert checked.spec.train_images + checked.spec.test_images >= different - 1
    assert checked.report.duplicates["near"] <= 1


def test_copies_among_images_that_are_alike_are_found(tmp_path: Path) -> None:
    """Of the parts before a fixed camera, three test images are in the training split once more."""
    files = files_of(SETS["jig"], split=True)
    rng = np.random.default_rng(22)
    originals = [SETS["jig"](rng, False) for _ in range(3)]
    assert encoded(originals[0]) == files["test/first/000.png"]
    copies = {
        "train/first/a.png": encoded(originals[0].resize((192, 192), Image.Resampling.BICUBIC)),
        "train/first/b.jpg": encoded(originals[1], "JPEG", quality=90),
        "train/first/c.png": files["test/first/002.png"],
    }
    checked = check(tmp_path, files | copies)
    assert checked.spec is not None
    assert checked.spec.train_images == 2 * (COUNT - TESTED)
    assert [(pair.file, pair.shows, pair.kind) for pair in checked.report.pairs] == [
        ("train/first/a.png", "test/first/000.png", "near"),
        ("train/first/b.jpg", "test/first/001.png", "near"),
        ("train/first/c.png", "test/first/002.png", "exact"),
    ]


class TestKept:
    def files(self) -> dict[str, bytes]:
        files = {
            f"{'test' if number % 5 == 4 else 'train'}/{name}/{number:03}.png": encoded(photo(2 * number + place, 32))
            for name, place in (("cat", 0), ("dog", 1))
            for number in range(25)
        }
        files["train/cat/near.jpg"] = encoded(photo(2 * 9, 32), "JPEG", quality=60)
        files["train/cat/same.png"] = files["test/cat/004.png"]
        return files

    def test_what_is_left_out_is_listed_with_its_pair_and_distance(self, tmp_path: Path) -> None:
        checked = check(tmp_path, self.files())
        near, exact = checked.report.pairs
        assert near == SamePicture("train/cat/near.jpg", "test/cat/009.png", "near", near.distance)
        assert 0.5 < near.distance < 15
        assert exact == SamePicture("train/cat/same.png", "test/cat/004.png", "exact", 0)
        assert (checked.report.duplicates["across_splits"], checked.report.duplicates["left_out"]) == (2, 2)
        (detail,) = [each.detail for each in checked.report.problems if each.code == "duplicates_across_splits"]
        assert "duplicates=keep" in detail
        assert f"distance {near.distance:g} of 255 levels" in detail

    def test_kept_ones_are_used_and_reported(self, tmp_path: Path) -> None:
        files = self.files()
        checked = check(tmp_path, files, "keep")
        assert checked.spec is not None
        assert checked.spec.duplicates == "keep"
        items = list_items(checked.spec)
        assert {item.member for item in items} == files.keys()
        assert {item.group for item in items} == {None}
        assert [pair.file for pair in checked.report.pairs] == ["train/cat/near.jpg", "train/cat/same.png"]
        assert (checked.report.duplicates["across_splits"], checked.report.duplicates["left_out"]) == (2, 0)
        kept = [each for each in checked.report.problems if each.code == "duplicates_kept"]
        assert [(each.severity, each.count) for each in kept] == [("warning", 2)]
        assert "duplicates_across_splits" not in codes(checked.report)

    def test_no_group_binds_the_draw(self, tmp_path: Path) -> None:
        """Ten copies of one picture: drawn together into one split, or one by one."""
        files = {f"{name}/{number:02}.png": encoded(photo(2 * number + place, 32)) for number in range(20)
                 for name, place in (("cat", 0), ("dog", 1))}  # fmt: skip
        files |= {f"cat/copy{number}.jpg": encoded(photo(0, 32), "JPEG", quality=80 + number) for number in range(10)}
        splits = {}
        rules: tuple[Literal["leave-out", "keep"], ...] = ("leave-out", "keep")
        for rule in rules:
            checked = check(tmp_path, files, rule)
            assert checked.spec is not None
            items = list_items(checked.spec)
            assert len(items) == len(files)
            splits[rule] = {item.split for item in items if "copy" in item.member}
            assert ("duplicates_kept" in codes(checked.report)) == (rule == "keep")
        assert len(splits["leave-out"]) == 1
        assert len(splits["keep"]) == 2
