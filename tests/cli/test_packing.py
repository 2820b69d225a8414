"""Folders are packed as a user sees them: with links and empty classes, without what systems leave behind."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from cli.errors import PackingError
from cli.packing import pack


def packed(folder: Path, target: Path) -> tuple[list[str], list[str]]:
    """The names in the archive, and what was left out."""
    calls: list[tuple[int, int]] = []
    left_out = pack(folder, target, lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1]
    with zipfile.ZipFile(target) as archive:
        return sorted(archive.namelist()), left_out


def write(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def test_files_and_empty_folders_are_packed_and_the_rest_is_named(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write(root / "cat/1.png", root / "cat/.hidden.png", root / "cat/@eaDir/1.png/T.jpg", root / ".git/config")
    write(root / "Thumbs.db", root / "labels.csv")
    (root / "dog").mkdir()
    names, left_out = packed(root, tmp_path / "pets.zip")
    assert names == ["cat/1.png", "dog/", "labels.csv"]
    assert left_out == [".git", ".hidden.png", "@eaDir", "Thumbs.db"]


def test_links_to_classes_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write(root / "cat/1.png", tmp_path / "far/2.png")
    (root / "dog").symlink_to(tmp_path / "far")
    (root / "cat/up").symlink_to(root)
    assert packed(root, tmp_path / "pets.zip")[0] == ["cat/1.png", "dog/2.png"]


def test_a_folder_that_cannot_be_entered_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "pets"
    write(root / "cat/1.png", root / "dog/2.png")
    scandir = os.scandir

    def refusing(path: str) -> object:  # root may enter every folder, so that its mode would not do
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PackingError, match="dog cannot be read"):
        packed(root, tmp_path / "pets.zip")


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    with pytest.raises(PackingError, match="contains no files"):
        packed(tmp_path / "pets", tmp_path / "pets.zip")
