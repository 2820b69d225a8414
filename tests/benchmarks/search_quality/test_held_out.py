"""Held-out training images stand in for the test split."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.search_quality.held_out import without_test
from tests.benchmarks.search_quality.pictures import CLASSES, split_zip


def test_every_fifth_training_image_of_a_class_judges_and_no_test_image_does(tmp_path: Path) -> None:
    whole = split_zip(tmp_path / "photos.zip")
    with zipfile.ZipFile(whole) as archive:
        given = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(without_test(whole, tmp_path / "out")) as archive:
        made = {name: archive.read(name) for name in archive.namelist()}
    for label in CLASSES:
        held_out = [f"{n:02d}.png" for n in (0, 5, 10, 15)]
        assert sorted(name for name in made if name.startswith(f"test/{label}/")) == [
            f"test/{label}/{name}" for name in held_out
        ]
        assert all(made[f"test/{label}/{name}"] == given[f"train/{label}/{name}"] for name in held_out)
    assert sorted(made.values()) == sorted(data for name, data in given.items() if name.startswith("train/"))


def test_an_archive_without_splits_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a/0.png", b"")
    with pytest.raises(ValueError, match="has no images in train/CLASS/"):
        without_test(tmp_path / "photos.zip", tmp_path / "out")
    assert not (tmp_path / "out" / "photos.zip").exists()
