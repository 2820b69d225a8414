"""Datasets of class folders, as folders and as zip archives: how they are read, and why others are refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from autonl_core.datasets.image_files import image_size
from autonl_core.datasets.items import Item
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.manifest import Row, manifest_fingerprint, write_manifest
from autonl_core.datasets.scan import former_fingerprint, list_items, scan
from autonl_core.datasets.sources import expected_sources, open_source
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DatasetError
from tests.autonl_core.digit_archives import read_members


def picture(shade: int = 0, width: int = 20, height: int = 12) -> bytes:
    """A small PNG whose content differs by `shade`."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), shade).save(buffer, "PNG")
    return buffer.getvalue()


def write(root: Path, *folders: str, images: int = 5) -> Path:
    """`images` pictures in each of `folders` below `root`."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            (root / folder / f"{number:03}.png").write_bytes(picture(number))
    return root


def zipped(root: Path) -> Path:
    """The folder `root` as an archive beside it."""
    return Path(shutil.make_archive(str(root), "zip", root))


def labels_and_splits(spec: DatasetSpec) -> Counter[tuple[str, str]]:
    return Counter((spec.classes[item.label], item.split) for item in list_items(spec))


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        scan("pets", path)
    return str(caught.value)


SPLIT = ("train/cat", "train/dog", "test/cat", "test/dog")
HALVES = Counter({(name, split): 5 for name in ("cat", "dog") for split in ("train", "test")})


# What is supported ---------------------------------------------------------------------------------------------------


def test_train_and_test_folders_are_the_splits(tmp_path: Path) -> None:
    spec = scan("pets", write(tmp_path, *SPLIT))
    assert (spec.name, spec.kind, spec.location) == ("pets", "folder", str(tmp_path))
    assert (spec.classes, spec.train_images, spec.test_images) == (("cat", "dog"), 10, 10)
    assert spec.image_size == 20  # the longer side
    assert labels_and_splits(spec) == HALVES


def test_a_zip_is_read_as_the_folder_it_was_made_from(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", *SPLIT)
    folder, archive = scan("pets", root), scan("pets", zipped(root))
    assert (archive.kind, archive.location) == ("zip", str(tmp_path / "pets.zip"))
    assert list_items(archive) == list_items(folder)
    members = [item.member for item in list_items(folder)]
    assert list(read_members(archive, members)) == list(read_members(folder, members))


def test_validation_images_join_the_training_ones(tmp_path: Path) -> None:
    spec = scan("pets", write(tmp_path, *SPLIT, "val/cat", "val/dog"))
    assert labels_and_splits(spec)["cat", "train"] == 10
    assert (spec.train_images, spec.test_images) == (20, 10)


def test_split_folders_may_be_capitalised_or_spelt_out(tmp_path: Path) -> None:
    spec = scan("pets", write(tmp_path, "Training/cat", "Training/dog", "TEST/cat", "TEST/dog"))
    assert spec.classes == ("cat", "dog")
    assert labels_and_splits(spec) == HALVES


@pytest.mark.parametrize("wrapping", ["download", "export/v2"])
def test_a_wrapping_folder_is_skipped(tmp_path: Path, wrapping: str) -> None:
    write(tmp_path / wrapping, *SPLIT)
    (tmp_path / wrapping / "preview.png").write_bytes(picture())
    assert labels_and_splits(scan("pets", tmp_path)) == HALVES


def test_of_one_level_of_classes_the_same_fifth_is_always_held_out_for_testing(tmp_path: Path) -> None:
    spec = scan("pets", write(tmp_path / "a", "cat", "dog", images=20))
    again = scan("pets", write(tmp_path / "b", "cat", "dog", images=20))
    assert labels_and_splits(spec) == {
        ("cat", "train"): 16, ("cat", "test"): 4, ("dog", "train"): 16, ("dog", "test"): 4,
    }  # fmt: skip
    assert list_items(spec) == list_items(again)


def test_images_in_folders_below_a_class_belong_to_that_class(tmp_path: Path) -> None:
    spec = scan("pets", write(tmp_path, "cat/black", "cat/white", "dog"))
    assert spec.classes == ("cat", "dog")
    assert spec.train_images + spec.test_images == 15


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert scan("vehicles", write(tmp_path, "car", "plane", "train")).classes == ("car", "plane", "train")


def test_loose_images_other_files_and_hidden_folders_are_not_used(tmp_path: Path) -> None:
    write(tmp_path, *SPLIT, "train/.thumbnails", "__MACOSX/train/cat")
    (tmp_path / "preview.png").write_bytes(picture())
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    spec = scan("pets", tmp_path)
    assert spec.classes == ("cat", "dog")
    assert labels_and_splits(spec) == HALVES


@pytest.mark.parametrize("name", ["chien noir", "Öl & Essig", "猫", "a'b\"c", "100%", "-rf", "semi;colon"])
def test_class_names_need_not_be_identifiers(tmp_path: Path, name: str) -> None:
    root = write(tmp_path / "pets", name, "plain")
    for path in (root, zipped(root)):
        spec = scan("pets", path)
        assert set(spec.classes) == {name, "plain"}
        assert len(dict(read_members(spec, [item.member for item in list_items(spec)]))) == 10


# What is refused, and why --------------------------------------------------------------------------------------------


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == f"no dataset at {tmp_path}/none: expected {expected_sources()}"


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    assert "has no images (.bmp, .gif, .jpeg" in refusal(tmp_path)


def test_no_class_folders(tmp_path: Path) -> None:
    write(tmp_path, ".")
    assert "has no class folders: expected CLASS/image, or train/CLASS/image and test/CLASS/image" in refusal(tmp_path)


def test_one_class_only(tmp_path: Path) -> None:
    assert "has one class, 'cat'; a classifier needs at least 2" in refusal(write(tmp_path, "cat"))


def test_classes_with_too_few_images_are_all_named(tmp_path: Path) -> None:
    write(tmp_path, "train/cat", "test/cat", "train/dog", "test/emu")
    write(tmp_path, "train/fox", "test/fox", images=1)
    assert refusal(tmp_path) == (
        f"{tmp_path}: every class needs at least 2 training images and 1 test image: "
        "'dog' has 5 training and 0 test images; 'emu' has 0 training and 5 test images; "
        "'fox' has 1 training and 1 test images"
    )


def test_of_many_classes_with_too_few_images_the_first_twenty_are_named(tmp_path: Path) -> None:
    write(tmp_path, *(f"class{number:02}" for number in range(25)), images=2)
    message = refusal(tmp_path)
    assert message.count("has 1 training and 1 test") == 20
    assert message.endswith("; and 5 more")


def test_class_folders_beside_split_folders_are_ambiguous(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, *SPLIT, "extra/cat"))
    assert "has class folders in test, train, but also 'extra' next to them; a dataset is either split" in message


def test_a_class_name_that_cannot_be_shown(tmp_path: Path) -> None:
    assert r"a class folder named 'cat\x1b[2J'; rename it" in refusal(write(tmp_path, "cat\x1b[2J", "dog"))


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    write(tmp_path, "cat", "dog")
    Path(os.fsdecode(os.fsencode(tmp_path / "cat") + b"/\xff.png")).write_bytes(picture())
    assert scan("pets", tmp_path).train_images == 9  # 5 of 6 and 4 of 5: a file may have such a name
    (tmp_path / "dog").rename(os.fsdecode(os.fsencode(tmp_path) + b"/d\xffg"))
    assert r"a class folder named 'd\udcffg'; rename it" in refusal(tmp_path)  # a class may not


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(b"PK\x03\x04 but nothing else")
    assert refusal(path).startswith(f"{path} is not a readable zip archive: ")


def test_a_truncated_archive(tmp_path: Path) -> None:
    path = zipped(write(tmp_path / "pets", *SPLIT))
    path.write_bytes(path.read_bytes()[:-40])
    assert refusal(path).startswith(f"{path} is not a readable zip archive: ")


def test_only_unreadable_images(tmp_path: Path) -> None:
    write(tmp_path, "cat", "dog")
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"not a picture")
    assert "none of 10 sampled images can be read" in refusal(tmp_path)


# What is partly damaged, or changes ----------------------------------------------------------------------------------


def test_some_unreadable_images_are_tolerated(tmp_path: Path) -> None:
    write(tmp_path, *SPLIT)
    (tmp_path / "train" / "cat" / "000.png").write_bytes(b"")
    (tmp_path / "train" / "dog" / "000.png").write_bytes(picture()[:20])
    spec = scan("pets", tmp_path)
    assert (spec.train_images, spec.image_size) == (10, 20)  # counted here, reported by the search


def test_a_damaged_member_of_an_archive_is_read_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored, so that a byte of one picture can be changed
        for folder in SPLIT:
            for number in range(5):
                archive.writestr(f"{folder}/{number}.png", picture(number * 40, width=64 + number))
        damaged = archive.getinfo("train/cat/3.png")
    content = bytearray(path.read_bytes())
    content[damaged.header_offset + 100] ^= 0xFF
    path.write_bytes(content)
    spec = scan("pets", path)
    read = dict(read_members(spec, [item.member for item in list_items(spec)]))
    assert [member for member, data in read.items() if not data] == ["train/cat/3.png"]


def test_a_missing_file_is_read_as_empty(tmp_path: Path) -> None:
    spec = scan("pets", write(tmp_path, *SPLIT))
    (tmp_path / "train" / "cat" / "000.png").unlink()
    assert list(read_members(spec, ["train/cat/000.png"])) == [("train/cat/000.png", b"")]


@pytest.mark.parametrize("change", ["add", "remove", "replace"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_dataset_that_changed_since_it_was_added_is_refused(tmp_path: Path, kind: str, change: str) -> None:
    root = write(tmp_path / "pets", *SPLIT)
    spec = scan("pets", root if kind == "folder" else zipped(root))
    image = root / "train" / "cat" / "000.png"
    if change == "add":
        (root / "train" / "cat" / "new.png").write_bytes(picture())
    elif change == "remove":
        image.unlink()
    else:
        image.write_bytes(picture(shade=99, width=30))
    zipped(root)
    with pytest.raises(DatasetError, match=r"'pets' at .* changed since it was added: .*; add it again"):
        list_items(spec)


def test_another_content_has_another_fingerprint(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", *SPLIT)
    before = scan("pets", zipped(root)).fingerprint
    assert scan("other name", zipped(root)).fingerprint == before
    (root / "test" / "dog" / "000.png").write_bytes(picture(shade=1))
    assert scan("pets", zipped(root)).fingerprint != before


def test_a_dataset_that_is_missing_is_refused(tmp_path: Path) -> None:
    spec = scan("pets", write(tmp_path / "pets", *SPLIT))
    shutil.rmtree(tmp_path / "pets")
    with pytest.raises(DatasetError, match="no dataset at"):
        list_items(spec)


# The manifest and the header -----------------------------------------------------------------------------------------


def test_with_a_manifest_the_images_are_those_it_lists(tmp_path: Path) -> None:
    plain = scan("pets", write(tmp_path / "pets", *SPLIT))
    rows: list[Row] = [("train", 0, "train/cat/000.png", None), ("train", 1, "train/dog/000.png", 4)]
    path = write_manifest(tmp_path, plain.fingerprint, plain.classes, rows)
    assert path == write_manifest(tmp_path, plain.fingerprint, plain.classes, rows)  # the same content, the same name
    assert path != write_manifest(tmp_path, plain.fingerprint, plain.classes, rows[:1])
    checked = replace(plain, manifest=str(path), fingerprint=manifest_fingerprint(path))
    assert list_items(checked) == [Item(*row) for row in rows]
    (tmp_path / "pets" / SPLIT[0] / "new.png").write_bytes(picture())
    with pytest.raises(DatasetError, match="changed since it was added"):
        list_items(checked)


def test_a_manifest_that_was_modified_or_is_missing_is_refused(tmp_path: Path) -> None:
    plain = scan("pets", write(tmp_path / "pets", *SPLIT))
    path = write_manifest(tmp_path, plain.fingerprint, plain.classes, [("train", 0, "train/cat/000.png", None)])
    checked = replace(plain, manifest=str(path), fingerprint=manifest_fingerprint(path))
    path.write_text(path.read_text().replace("train/cat/000", "train/dog/000"))
    with pytest.raises(DatasetError, match="was modified; add the dataset again"):
        list_items(checked)
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        list_items(checked)


def test_limits_are_reported_with_their_values(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", *SPLIT)
    packed = zipped(root)
    for limits, path, message in (
        (Limits(files=19), packed, "it has 26 members, more than 19"),
        (Limits(folder_files=19), root, "has more than 19 files"),
        (Limits(content_bytes=1000), packed, "when decompressed, more than 1,000"),
        (Limits(classes=1), root, "has 2 class folders; at most 1"),
    ):
        with pytest.raises(DatasetError, match=message):
            scan("pets", path, limits=limits)
    assert image_size(picture(width=7, height=9), Limits(image_pixels=62)) is None


def test_the_size_of_an_image_is_read_from_its_header() -> None:
    assert image_size(picture(width=7, height=9)) == (7, 9)
    assert image_size(picture()[:12]) is None
    assert image_size(b"") is None


def test_a_manifest_of_an_earlier_version_still_lists_its_images(tmp_path: Path) -> None:
    """It has no label files, knew fewer suffixes, and the names of an archive as they are stored."""
    root = write(tmp_path / "pets", "cat", "dog")
    (root / "cat" / "photo.heic").write_bytes(b"not an image then")
    (root / "labels.csv").write_text("file,label\n")
    path = zipped(root)
    path.write_bytes(path.read_bytes().replace(b"dog/", "dé/".encode()))  # without the flag for UTF-8
    former = "dé".encode().decode("cp437")
    with open_source(path) as files:
        content = former_fingerprint(files)
    rows: list[Row] = [("train", 0, "cat/000.png", None), ("train", 1, f"{former}/000.png", None)]
    lines = ",\n".join(json.dumps(row) for row in rows)
    head = f'{{"format": "autonl-manifest/1", "content": "{content}", "classes": ["cat", "{former}"]'
    text = f'{head}, "items": [\n{lines}\n]}}\n'
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    (tmp_path / f"{name}.manifest.json").write_text(text, encoding="utf-8")
    spec = DatasetSpec(
        "pets", "zip", str(path), ("cat", former), 20, 2, 0, name, manifest=str(tmp_path / f"{name}.manifest.json")
    )
    assert list_items(spec) == [Item(*row) for row in rows]
    assert all(data for _, data in read_members(spec, [row[2] for row in rows]))


def test_class_folders_without_an_image_are_named(tmp_path: Path) -> None:
    write(tmp_path, "cat", "dog")
    (tmp_path / "emu").mkdir()
    (tmp_path / "fox").mkdir()
    (tmp_path / "fox" / "scan.dcm").write_bytes(b"no image")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "readme.txt").write_text("about")
    assert "without a usable image: emu (empty), fox (1 file: .dcm); add images" in refusal(tmp_path)


def test_a_layout_can_be_chosen(tmp_path: Path) -> None:
    write(tmp_path, "rgb/cat", "rgb/dog", "ir/cat", "ir/dog")
    assert "has folders like 'ir' with only folders inside" in refusal(tmp_path)
    spec = scan("pets", tmp_path, layout="ir/CLASS")
    assert (spec.classes, spec.layout, spec.train_images + spec.test_images) == (("cat", "dog"), "ir/CLASS", 10)
    assert {item.member.split("/")[0] for item in list_items(spec)} == {"ir"}


def test_a_change_of_labels_is_a_change_of_the_dataset(tmp_path: Path) -> None:
    write(tmp_path / "pets", "images", images=8)
    lines = ["file,label", *(f"{number:03}.png,{'cat' if number % 2 else 'dog'}" for number in range(8))]
    labels = tmp_path / "pets" / "labels.csv"
    labels.write_text("\n".join(lines))
    spec = scan("pets", tmp_path / "pets")
    assert (spec.classes, len(list_items(spec))) == (("cat", "dog"), 8)
    labels.write_text("\n".join(lines).replace("000.png,dog", "000.png,cat"))
    with pytest.raises(DatasetError, match="changed since it was added"):
        list_items(spec)
