"""Which columns of a Parquet file are read, what an image is called, and how much is read for one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow
import pytest

from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.packed import parquet_file as reading
from autonl_core.datasets.packed.places import PackedFile, read_part
from autonl_core.datasets.sources import detect_source, get_source, open_source
from tests.autonl_core.datasets.packed.samples import (
    IMAGE,
    images,
    parquet_file,
    parquet_of,
    png,
    tar_of,
    write_folder,
    write_zip,
    written,
)

TWO = pyarrow.array([{"bytes": png(1), "path": "1.png"}, {"bytes": png(2), "path": "2.png"}], IMAGE)


def names_in(root: Path, columns: dict[str, object], metadata: object = None, **others: bytes) -> set[str]:
    """What a file with these columns is read as, with `others` beside it."""
    table = pyarrow.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": metadata}})})
    beside = {name.replace("_", "."): data for name, data in others.items()}
    with open_source(write_folder(root / "files", {"train-0.parquet": written(table), **beside})) as files:
        return set(files.marks)


def plain(number: int) -> bytes:
    """What any compression makes smaller, unlike an image."""
    return f"{number:04}".encode() * 5000


class TestNames:
    def test_numbers_get_the_names_that_the_metadata_have(self, tmp_path: Path) -> None:
        feature = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
        assert names_in(tmp_path, {"image": TWO, "label": [1, 0]}, feature) == {"train/dog/1.png", "train/cat/2.png"}

    def test_or_those_of_a_file_beside_them(self, tmp_path: Path) -> None:
        found = names_in(tmp_path, {"image": TWO, "label": [1, 0]}, classes_txt=b"cat\ndog\n")
        assert found == {"train/dog/1.png", "train/cat/2.png"}

    def test_or_stay_numbers(self, tmp_path: Path) -> None:
        assert names_in(tmp_path, {"image": TWO, "label": [1, 0]}) == {"train/1/1.png", "train/0/2.png"}

    def test_text_is_the_class(self, tmp_path: Path) -> None:
        text = pyarrow.array(["cat", "dog"])
        for label in (text, text.dictionary_encode(), text.cast(pyarrow.large_string())):
            assert names_in(tmp_path, {"image": TWO, "label": label}) == {"train/cat/1.png", "train/dog/2.png"}

    def test_a_column_of_classes_may_have_another_name(self, tmp_path: Path) -> None:
        feature = {"breed": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
        columns = {"img": TWO, "breed": [0, 1], "class_id": [7, 8], "width": [8, 8]}
        assert names_in(tmp_path, columns, feature) == {"train/cat/1.png", "train/dog/2.png"}

    def test_without_one_folders_in_paths_are_the_classes(self, tmp_path: Path) -> None:
        rows = pyarrow.array(
            [{"bytes": png(1), "path": "cat/1.png"}, {"bytes": png(2), "path": "train/dog/2.png"}], IMAGE
        )
        assert names_in(tmp_path, {"image": rows}) == {"train/cat/1.png", "train/dog/2.png"}

    def test_an_image_without_a_path_is_called_by_its_file_and_row(self, tmp_path: Path) -> None:
        plain = pyarrow.array([png(1), b"\xff\xd8\xff\xe0"], pyarrow.large_binary())
        assert names_in(tmp_path, {"image": plain, "label": ["cat", None]}) == {
            "train/cat/train-0-00000000.png",
            "train/train-0-00000001.jpg",
        }

    def test_splits_are_in_the_names_of_files(self, tmp_path: Path) -> None:
        row = [(png(1), "1.png", 0)]
        files = {f"data/{split}-00000-of-00001.parquet": parquet_file(row) for split in ("train", "validation", "test")}
        with open_source(write_zip(tmp_path / "a.zip", {"README.md": b"#", **files})) as opened:
            assert set(opened.marks) == {"train/cat/1.png", "val/cat/1.png", "test/cat/1.png"}


class TestReading:
    @pytest.fixture
    def bytes_read(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        found: list[int] = []

        def counted(file: PackedFile, offset: int, size_bytes: int) -> bytes:
            data = read_part(file, offset, size_bytes)
            found.append(len(data))
            return data

        monkeypatch.setattr(reading, "read_part", counted)
        return found

    def test_for_one_image_its_row_group_is_read(self, tmp_path: Path, bytes_read: list[int]) -> None:
        rows = [(plain(number), f"{number}.png", 0) for number in range(40)]
        packed = parquet_file(rows, rows_per_group=2, use_dictionary=False)
        path = write_folder(tmp_path / "files", {"train-0.parquet": packed})
        group_bytes = len(packed) // 20
        source = get_source("parquet")
        (location,) = source.locate(path, ["train/cat/31.png"], DEFAULT_LIMITS)
        reader = source.reader(path, DEFAULT_LIMITS)
        bytes_read.clear()
        assert reader.read(location) == plain(31)
        *of_footer, of_group = bytes_read
        assert len(of_footer) == 3
        assert of_group < 2 * group_bytes

    def test_an_image_that_is_not_compressed_is_read_alone(self, tmp_path: Path, bytes_read: list[int]) -> None:
        """As the library `datasets` writes images."""
        rows = [(png(number, 64), f"{number}.png", 0) for number in range(40)]
        data = parquet_file(rows, rows_per_group=10, compression={"image.bytes": "none"}, use_dictionary=False)
        path = write_folder(tmp_path / "files", {"train-0.parquet": data})
        source = get_source("parquet")
        names = [f"train/cat/{number}.png" for number in (31, 2, 39, 0)]
        locations = list(source.locate(path, names, DEFAULT_LIMITS))
        bytes_read.clear()
        reader = source.reader(path, DEFAULT_LIMITS)
        assert [reader.read(location) for location in locations] == [png(number, 64) for number in (31, 2, 39, 0)]
        assert bytes_read == []  # nothing of what decodes row groups

    def test_neighbours_are_read_once(self, tmp_path: Path, bytes_read: list[int]) -> None:
        rows = [(plain(number), f"{number}.png", 0) for number in range(6)]
        path = write_folder(tmp_path / "files", {"train-0.parquet": parquet_file(rows, rows_per_group=3)})
        source = get_source("parquet")
        names = [f"train/cat/{number}.png" for number in (3, 5, 4)]
        locations = list(source.locate(path, names, DEFAULT_LIMITS))
        reader = source.reader(path, DEFAULT_LIMITS)
        assert reader.read(locations[0]) == plain(3)
        bytes_read.clear()
        assert [reader.read(location) for location in locations[1:]] == [plain(5), plain(4)]
        assert bytes_read == []

    @pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
    @pytest.mark.parametrize("use_dictionary", [True, False])
    def test_however_it_is_compressed_the_images_are_the_same(
        self, tmp_path: Path, compression: str, use_dictionary: bool
    ) -> None:
        files = images()
        packed = parquet_of(files, compression=compression, use_dictionary=use_dictionary)
        with open_source(write_folder(tmp_path / "files", packed)) as opened:
            assert {name: opened.read(name) for name in opened.marks} == files

    def test_a_damaged_row_group_costs_its_images_alone(self, tmp_path: Path) -> None:
        """After the index was made: it would be refused there."""
        rows = [(plain(number), f"{number}.png", 0) for number in range(6)]
        data = parquet_file(rows, use_dictionary=False)
        path = write_folder(tmp_path / "files", {"train-0.parquet": data})
        source = get_source("parquet")
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            locations = list(files.locate(sorted(files.marks)))
            (path / "train-0.parquet").write_bytes(data[:4] + b"\xff" * 40 + data[44:])
            written_ns = locations[0].mark
            os.utime(path / "train-0.parquet", ns=(written_ns, written_ns))
            reader = source.reader(path, DEFAULT_LIMITS)
            assert [reader.read(location) for location in locations] == [b"", b"", b"", plain(3), plain(4), plain(5)]


def test_parquet_beside_images_or_shards_is_no_dataset_of_its_own(tmp_path: Path) -> None:
    """A table of labels may be such a file."""
    table = {"labels.parquet": parquet_file([(png(1), "1.png", 0)])}
    found = []
    for number, others in enumerate((images(), {"1.png": png(1)}, {"train-0.tar": tar_of([("a.png", png(1))])})):
        source = detect_source(write_folder(tmp_path / str(number), {**others, **table}))
        found.append(source and source.name)
    assert found == ["folder", "folder", "folder"]
