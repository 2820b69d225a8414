"""What a label member says, and which split the name of a shard means."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonl_core.datasets.packed.index import image_name, split_folder
from autonl_core.datasets.packed.labels import read_label
from autonl_core.datasets.sources import open_source
from tests.autonl_core.datasets.packed.samples import png, tar_of, write_folder


@pytest.mark.parametrize(
    ("suffix", "data", "label"),
    [
        (".cls", b"7\n", 7),
        (".cls", b"golden retriever", "golden retriever"),
        (".cls", b"\xff\xfe", None),
        (".txt", b"cat", "cat"),
        (".txt", b"A photo of a cat\non a mat", None),
        (".txt", b"0 0.5 0.5 0.2 0.2", None),
        (".json", b'{"label": 3, "width": 8}', 3),
        (".json", b'{"class_name": "cat"}', "cat"),
        (".json", b"5", 5),
        (".json", b'{"caption": "a cat"}', None),
        (".json", b'{"label": true}', None),
        (".json", b"[" * 100_000, None),
    ],
)
def test_labels(suffix: str, data: bytes, label: object) -> None:
    assert read_label(suffix, data) == label


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("train-000000.tar", "train"),
        ("imagenet-train-000012.tar", "train"),
        ("imagenet1k-validation-00.tar", "val"),
        ("val_000-of-012.tar", "val"),
        ("Test/000001.tar", "Test"),
        ("part1/test-3.tar", "test"),
        ("000000.tar", ""),
        ("shard-000000.tar", ""),
    ],
)
def test_splits(name: str, folder: str) -> None:
    assert split_folder(name) == folder


def test_folders_that_a_key_has_anyway_are_not_repeated() -> None:
    assert image_name("train", "cat", "train/cat/1.png") == "train/cat/1.png"
    assert image_name("train", "cat", "cat/1.png") == "train/cat/1.png"
    assert image_name("", "cat", "1.png") == "cat/1.png"


def test_shards_without_labels_hold_class_folders_as_they_are(tmp_path: Path) -> None:
    members = [("cat/1.png", png(1)), ("dog/2.png", png(2)), ("about.txt", b"Photos of pets.\nTaken in 2020.")]
    path = write_folder(tmp_path / "shards", {"train-0.tar": tar_of(members), "notes.md": b"#"})
    with open_source(path) as files:
        assert set(files.marks) == {"train/cat/1.png", "train/dog/2.png", "train/about.txt"}


def test_names_of_classes_may_be_json(tmp_path: Path) -> None:
    shard = tar_of([("1.png", png(1)), ("1.json", b'{"label": 1}'), ("2.png", png(2)), ("2.txt", b"0")])
    for names in (b'["cat", "dog"]', b'{"0": "cat", "1": "dog"}', b'{"cat": 0, "dog": 1}'):
        path = write_folder(tmp_path / str(len(names)), {"test-0.tar": shard, "classes.json": names})
        with open_source(path) as files:
            assert set(files.marks) == {"test/dog/1.png", "test/cat/2.png"}
