"""Tar shards that strangers send: what no legitimate tool writes is refused, by shard and member, with the way out."""

from __future__ import annotations

import gzip
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.packed import places
from autonl_core.datasets.sources import get_source, open_source
from autonl_core.errors import DatasetError
from tests.autonl_core.datasets.packed.samples import images, png, shards_of, tar_of, write_folder, write_zip

GOOD = tar_of([("a.png", png(1)), ("a.cls", b"cat"), ("b.png", png(2)), ("b.cls", b"dog")])


def refusal(path: Path, kind: str | None = "shards") -> str:
    with pytest.raises(DatasetError) as caught, open_source(path, kind=kind) as files:
        list(files.marks)
    return str(caught.value)


def with_shard(root: Path, data: bytes, name: str = "train-000000.tar") -> Path:
    return write_folder(root / "shards", {name: data})


def member(**fields: object) -> bytes:
    info = tarfile.TarInfo("train/x.png")
    for name, value in fields.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "C:/x.png", "a\\x.png"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    message = refusal(with_shard(tmp_path, tar_of([(name, b"1")])))
    assert message.startswith(f"shard 'train-000000.tar': member {name!r} must have a relative name")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    message = refusal(with_shard(tmp_path, member(type=kind, linkname="/etc/passwd")))
    assert message == (
        "shard 'train-000000.tar': member 'train/x.png' is a link, a device or a sparse file, not a plain file; "
        "pack the file it points to"
    )


def test_a_size_beyond_the_shard_is_refused(tmp_path: Path) -> None:
    assert "claims 1,099,511,627,776 bytes, more than its shard has left" in refusal(
        with_shard(tmp_path, member(size=1 << 40))
    )


def test_a_long_name_is_refused_with_the_limit(tmp_path: Path) -> None:
    message = refusal(with_shard(tmp_path, tar_of([("x" * 2000 + ".png", b"1")])))
    assert "has a name of 2,004 characters; at most 1,024 are allowed" in message


def test_a_header_of_megabytes_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 50 << 20
    assert "a header of 52,4" in refusal(with_shard(tmp_path, info.tobuf() + bytes(1024)))


def test_a_chain_of_long_names_ends(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 512
    assert "is damaged at byte 0" in refusal(with_shard(tmp_path, (info.tobuf() + b"a" * 512) * 5000 + bytes(1024)))


@pytest.mark.parametrize("name", ["train-000000.tar.gz", "train-000000.tgz", "train-000000.tar"])
def test_a_compressed_shard_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    message = refusal(with_shard(tmp_path, gzip.compress(GOOD), name), kind=None)
    assert message.startswith(f"shard {name!r} is compressed, so that its images cannot be read one by one")
    assert "gunzip" in message


def test_a_shard_that_was_cut_off_is_refused_and_not_read_in_part(tmp_path: Path) -> None:
    for end in (1024, 1025, 2048, 2100):  # between members, and inside of one
        message = refusal(write_folder(tmp_path / str(end), {"train-000000.tar": GOOD[:end]}))
        assert message.startswith("shard 'train-000000.tar'")


def test_archives_appended_to_each_other_are_refused(tmp_path: Path) -> None:
    assert "goes on after its end" in refusal(with_shard(tmp_path, GOOD.rstrip(b"\0") + bytes(2048) + GOOD))


def test_a_key_in_two_shards_names_both(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "shards", {"train-000000.tar": GOOD, "train-000001.tar": GOOD})
    assert refusal(path) == (
        "member 'train/cat/a.png' appears twice, in 'train-000000.tar' and 'train-000001.tar'; "
        "give every image a name of its own"
    )


def test_a_class_without_a_name_says_where_and_what_is_known(tmp_path: Path) -> None:
    shard = tar_of([("a.png", png(1)), ("a.cls", b"7")])
    path = write_folder(tmp_path / "shards", {"train-000000.tar": shard, "classes.txt": b"cat\ndog\n"})
    assert refusal(path) == (
        "shard 'train-000000.tar': member 'a.cls' has the class 7, but the file of class names has 0 to 1; "
        "add its name there"
    )


@pytest.mark.parametrize("label", [b"..", b"../..", b"a/b", b"a\0b", b"x" * 300])
def test_a_class_that_is_no_folder_is_refused(tmp_path: Path, label: bytes) -> None:
    shard = tar_of([("a.png", png(1)), ("a.cls", label)])
    assert "must have 1 to 255 characters, without '/'" in refusal(with_shard(tmp_path, shard))


def test_more_members_than_the_limit_are_refused(tmp_path: Path) -> None:
    few = replace(DEFAULT_LIMITS, folder_files=3)
    with (
        pytest.raises(DatasetError, match="more than 3 members"),
        open_source(with_shard(tmp_path, GOOD), few) as files,
    ):
        list(files.marks)


def test_more_shards_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_PACKED_FILES", 2)
    path = write_folder(tmp_path / "shards", {f"train-{number}.tar": GOOD for number in range(3)})
    assert "has 3 packed files, more than 2" in refusal(path)


def test_shards_that_an_archive_compresses_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", shards_of(images()), zipfile.ZIP_DEFLATED)
    assert "pack it again without compression (zip -0)" in refusal(path)


def test_a_shard_that_is_a_link_out_of_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.tar").write_bytes(GOOD)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "train-0.tar").symlink_to(tmp_path / "secret.tar")
    allowed = (tmp_path / "shards",)
    with pytest.raises(DatasetError, match="a link that leads out"), open_source(tmp_path / "shards", within=allowed):
        pass


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 4095), bits=st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_leaves_other_images_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, at: int, bits: int
) -> None:
    data = bytearray(GOOD)
    data[at] ^= bits
    path = write_folder(tmp_path_factory.mktemp("flipped"), {"train-000000.tar": bytes(data)})
    began_s = time.process_time()
    try:
        with get_source("shards").open(path, DEFAULT_LIMITS, ()) as files:
            found = {name: files.read(name) for name in files.marks}
    except DatasetError as error:
        found = {}
        assert "train-000000.tar" in str(error)  # noqa: PT017  (either is right)
    assert not found or any(content in (png(1), png(2)) for content in found.values())
    assert time.process_time() - began_s < 5


def test_a_folder_with_images_beside_a_tar_is_a_folder(tmp_path: Path) -> None:
    """And so is an archive: a stray archive in a dataset is only reported."""
    files = {**images(), "more.tar": GOOD}
    folder, archive = write_folder(tmp_path / "folder", files), write_zip(tmp_path / "a.zip", {"a.tar": GOOD, **files})
    with open_source(folder, kind="folder") as opened, open_source(archive, kind="zip") as other:
        assert "more.tar" in opened.marks
        assert "a.tar" in other.marks
    assert get_source("folder").detect(folder)
    assert get_source("zip").detect(archive)
