"""Layouts from names alone, without any file."""

from __future__ import annotations

import pytest

from autonl_core.datasets.layout import Layout, read_layout
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.errors import DatasetError


def layout(*names: str) -> Layout:
    return read_layout(names, "pets", DEFAULT_LIMITS)


def test_images_get_the_split_and_the_class_of_their_folders() -> None:
    found = layout("test/dog/2.png", "train/cat/1.png", "val/dog/sub/3.PNG", "train/cat/notes.txt")
    assert found.classes == ("cat", "dog")
    assert found.images == {
        "test/dog/2.png": ("test", 1),
        "train/cat/1.png": ("train", 0),
        "val/dog/sub/3.PNG": ("train", 1),
    }
    assert list(found.images) == sorted(found.images)
    assert found.is_split
    assert (found.validation, found.wrapping, found.outside) == (("val",), "", ())


def test_folders_around_everything_are_skipped_at_any_depth() -> None:
    wrapping = "w/" * 3000  # deeper than Python can recurse
    found = layout(f"{wrapping}cat/1.png", f"{wrapping}dog/1.png", f"{wrapping}preview.png", "loose.png")
    assert found.images == {f"{wrapping}cat/1.png": (None, 0), f"{wrapping}dog/1.png": (None, 1)}
    assert found.wrapping == wrapping
    assert found.outside == ("loose.png", f"{wrapping}preview.png")
    assert not found.is_split


def test_components_without_meaning_do_not_count() -> None:
    assert layout("./set//cat/1.png", "set/./dog/1.png").classes == ("cat", "dog")


@pytest.mark.parametrize("hidden", ["__MACOSX/cat/._1.png", ".git/x/1.png", "cat/.thumb/1.png"])
def test_hidden_files_are_ignored(hidden: str) -> None:
    assert set(layout("cat/1.png", "dog/1.png", hidden).images) == {"cat/1.png", "dog/1.png"}


def test_a_train_folder_without_folders_inside_is_a_class() -> None:
    assert layout("car/1.png", "train/1.png").classes == ("car", "train")
    with pytest.raises(DatasetError, match="has class folders in train, but also 'car' next to them"):
        layout("car/1.png", "train/cat/1.png")
