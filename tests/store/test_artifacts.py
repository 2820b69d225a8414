"""Downloadable files: complete or absent, and never outside the root folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from store.artifacts import ArtifactStore, FileArtifactStore, open_artifacts
from store.errors import ArtifactError, NotFound


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return open_artifacts((tmp_path / "root").as_uri())


def test_what_was_put_is_read_back(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"weights" * 1000)
    stored = artifacts.put("a1b2/1/model.safetensors", source)
    assert stored.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert stored.size_bytes == 7000
    with artifacts.open("a1b2/1/model.safetensors") as file:
        assert file.read() == source.read_bytes()


def test_a_failed_put_leaves_nothing_behind(artifacts: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        artifacts.put("a1b2/1/model.safetensors", tmp_path / "missing")
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", ".hidden", "a/.b", "a\x00b", "a b", "a/", "ä"]
)
def test_a_key_cannot_point_outside_the_root(artifacts: ArtifactStore, key: str) -> None:
    with pytest.raises(ArtifactError, match="malformed"):
        artifacts.open(key)


def test_a_link_cannot_point_outside_the_root(artifacts: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/folder").symlink_to(tmp_path / "secret")
    (tmp_path / "root/link").symlink_to(tmp_path / "secret/file")
    with pytest.raises(ArtifactError, match="outside the store"):
        artifacts.open("folder/file")
    with pytest.raises(ArtifactError, match="cannot be opened"):
        artifacts.open("link")


def test_a_missing_file_is_named(artifacts: ArtifactStore) -> None:
    with pytest.raises(NotFound, match="'a/b'"):
        artifacts.open("a/b")


def test_a_folder_is_deleted_with_its_content(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    artifacts.put("deleted/1/model", source)
    artifacts.put("kept/1/model", source)
    artifacts.delete_folder("deleted")
    with pytest.raises(NotFound):
        artifacts.open("deleted/1/model")
    artifacts.open("kept/1/model").close()


def test_an_unsupported_url_is_refused() -> None:
    with pytest.raises(ArtifactError, match="s3://, which is not supported"):
        open_artifacts("s3://bucket/folder")


def test_a_folder_is_deleted_except_for_the_keys_to_keep(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    artifacts = FileArtifactStore(tmp_path / "root")
    for key in ("a/1/model", "a/2/model", "b/1/model"):
        artifacts.put(key, source)
    (tmp_path / "root/a/2/.model.0f3c").write_bytes(b"half")  # left behind by a killed process
    artifacts.delete_folder("a", keep=["a/2/model"])
    left = {str(path.relative_to(tmp_path / "root")) for path in (tmp_path / "root").rglob("*") if path.is_file()}
    assert left == {"a/2/model", "b/1/model"}
