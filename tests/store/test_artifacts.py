"""Downloadable files: complete or absent, and never outside the root folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from store.artifacts import ArtifactStore, FileArtifactStore, ServedAs
from store.errors import ArtifactError, NotFound
from store.file_places import open_file_places
from store.settings import Settings
from tests.buckets import bucket_server, bucket_url

__all__ = ["bucket_server", "bucket_url"]


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return FileArtifactStore(tmp_path / "root")


@pytest.fixture(params=["folder", "bucket"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """What holds for artifacts wherever they are."""
    url: str = (tmp_path / "root").as_uri() if request.param == "folder" else request.getfixturevalue("bucket_url")
    return open_file_places(Settings(data_dir=tmp_path / "data", artifact_url=url, disk_reserve_bytes=0)).artifacts


def test_what_was_put_is_read_back(either: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"weights" * 1000)
    stored = either.put("a1b2/1/model.safetensors", source)
    assert stored.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert stored.size_bytes == 7000
    with either.open("a1b2/1/model.safetensors") as file:
        assert file.read() == source.read_bytes()


def test_a_failed_put_leaves_nothing_behind(either: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        either.put("a1b2/1/model.safetensors", tmp_path / "missing")
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


def test_a_missing_file_is_named(either: ArtifactStore) -> None:
    with pytest.raises(NotFound, match="'a/b'"):
        either.open("a/b")


def test_a_folder_is_deleted_with_its_content(either: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    for key in ("deleted/1/model", "deleted/12/model", "deleted-not/1/model"):
        either.put(key, source)
    either.delete_folder("deleted/1", keep=["deleted/1/other"])
    either.open("deleted/12/model").close()
    either.delete_folder("deleted")
    for key in ("deleted/1/model", "deleted/12/model"):
        with pytest.raises(NotFound):
            either.open(key)
    either.open("deleted-not/1/model").close()
    either.delete_folder("never-there")


def test_an_unsupported_url_is_refused() -> None:
    with pytest.raises(ArtifactError, match="ftp://, which is not supported"):
        open_file_places(Settings(artifact_url="ftp://host/folder"))


def test_the_same_content_may_be_put_again_and_other_content_may_not(either: ArtifactStore, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"weights of this attempt")
    second.write_bytes(b"weights of another one")
    stored = either.put("a/1/model", first)
    assert either.put("a/1/model", first) == stored  # its answer was lost
    with pytest.raises(ArtifactError, match="other content"):
        either.put("a/1/model", second)
    with either.open("a/1/model") as file:
        assert file.read() == b"weights of this attempt"
    either.put("a/1/model", second, ServedAs("image/jpeg"), replace=True)
    with either.open("a/1/model") as file:
        assert file.read() == b"weights of another one"


def test_what_was_deleted_is_not_found_and_may_be_deleted_again(either: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    either.put("a/1/model", tmp_path / "model")
    either.delete("a/1/model")
    either.delete("a/1/model")
    with pytest.raises(NotFound):
        either.open("a/1/model")


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
