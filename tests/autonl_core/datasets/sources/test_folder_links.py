"""Links and empty folders: nothing that could be a class is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonl_core.datasets.data_source import folders_of, links_out_of
from autonl_core.datasets.sources import open_source
from autonl_core.errors import DatasetError


def test_links_to_folders_are_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.png").write_bytes(b"one")
    root = tmp_path / "pets"
    (root / "dog").mkdir(parents=True)
    (root / "dog" / "2.png").write_bytes(b"two")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    with open_source(root) as files:
        assert set(files.marks) == {"cat/1.png", "dog/2.png"}
        assert files.read("cat/1.png") == b"one"
    with open_source(root, within=(root,)) as files:
        assert set(files.marks) == {"dog/2.png"}
        assert list(links_out_of(files)) == ["cat"]
    (root / "dog" / "1.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    with pytest.raises(DatasetError, match=r"'dog/1\.png' is a link that leads out"), open_source(root, within=(root,)):
        pass


def test_links_in_circles_are_entered_once(tmp_path: Path) -> None:
    (tmp_path / "cat" / "more").mkdir(parents=True)
    (tmp_path / "cat" / "1.png").write_bytes(b"one")
    (tmp_path / "cat" / "more" / "up").symlink_to(tmp_path / "cat")
    (tmp_path / "cat" / "more" / "here").symlink_to(tmp_path / "cat" / "more")
    (tmp_path / "all").symlink_to(tmp_path)
    with open_source(tmp_path) as files:
        assert set(files.marks) == {"cat/1.png"}


def test_empty_folders_and_links_to_nothing_are_listed(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"one")
    (tmp_path / "dog").mkdir()
    (tmp_path / "emu").symlink_to(tmp_path / "nowhere")
    with open_source(tmp_path) as files:
        assert set(folders_of(files)) == {"dog", "emu"}
