"""Parquet files that strangers send: each is refused by its name and row, with the way out, or costs one image."""

from __future__ import annotations

import importlib.util
import time
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autonl_core.dataset_check.check import check_dataset
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.packed import parquet_file as reading
from autonl_core.datasets.sources import get_source, open_source
from autonl_core.errors import DatasetError
from tests.autonl_core.datasets.packed.samples import (
    IMAGE,
    images,
    parquet_file,
    parquet_of,
    png,
    write_folder,
    write_zip,
    written,
)

NAME = "train-00000-of-00001.parquet"
ROWS = [(png(number), f"{number}.png", number % 3) for number in range(6)]
GOOD = parquet_file(ROWS)


def refusal(root: Path, data: bytes, name: str = NAME) -> str:
    path = write_folder(root / "files", {name: data})
    with pytest.raises(DatasetError) as caught, open_source(path, kind="parquet") as files:
        list(files.marks)
    return str(caught.value)


def with_footer_bytes(data: bytes, old: bytes, new: bytes) -> bytes:
    """With each `old` in the footer replaced by the `new` one of the same length."""
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    assert len(old) == len(new)
    assert old in data[start:-8]
    return data[:start] + data[start:-8].replace(old, new) + data[-8:]


def varint(value: int, length: int = 0) -> bytes:
    """A signed number as the footer stores it, in `length` bytes at least."""
    left = value << 1
    found: list[int] = []
    while left >= 0x80 or len(found) + 1 < length:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


class TestFiles:
    @staticmethod
    def bomb() -> bytes:
        """Three hundred megabytes of zeros."""
        rows = [(bytes(10 << 20), f"{number}.png", 0) for number in range(30)]
        return parquet_file(rows, rows_per_group=30, compression="zstd", use_dictionary=False)

    @pytest.mark.parametrize("end", [4, 11, 12, 100, len(GOOD) // 2, len(GOOD) - 1])
    def test_one_that_was_cut_off_is_refused_and_not_read_in_part(self, tmp_path: Path, end: int) -> None:
        message = refusal(tmp_path, GOOD[:end])
        assert message == f"{NAME!r} was cut off at byte {end:,}: it has no end; copy it again"

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (b"", "is no Parquet file, but a file that begins with the bytes ; rename it, or leave it out"),
            (png(1), "is no Parquet file, but an image; rename it, or leave it out"),
            (b"<!doctype html><p>404", "is no Parquet file, but a web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "is a pointer of Git LFS"),
            (b"PARE" + GOOD[4:-4] + b"PARE", "is encrypted; write it again without encryption"),
            (GOOD[:-8] + b"\xff\xff\xff\x7fPAR1", "claims a footer of 2,147,483,647 bytes"),
            (GOOD[:-8] + b"\x05\0\0\0PAR1", "is damaged"),
        ],
    )
    def test_another_file_is_refused_with_what_it_is(self, tmp_path: Path, data: bytes, what: str) -> None:
        assert refusal(tmp_path, data).startswith(f"{NAME!r} {what}")

    def test_a_row_group_that_is_too_large_to_be_read_for_one_image_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "MAX_GROUP_BYTES", 1000)  # the check of the footer
        assert "row group 0 has " in (message := refusal(tmp_path, parquet_file(ROWS, rows_per_group=6)))
        assert message.endswith("more than 1,000, which are read for each of its images; write the file again with "
                                "smaller row groups, such as row_group_size=100")  # fmt: skip

    @pytest.mark.long
    def test_a_bomb_is_refused_by_what_its_footer_says(self, tmp_path: Path) -> None:
        bomb = self.bomb()
        assert len(bomb) < 100_000
        assert "row group 0 has 31" in (message := refusal(tmp_path, bomb))
        assert "more than 268,435,456" in message

    @pytest.mark.long
    def test_a_bomb_whose_footer_lies_is_refused_by_what_it_has(self, tmp_path: Path) -> None:
        bomb = self.bomb()
        metadata = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(bomb)).metadata
        stored = varint(metadata.row_group(0).total_byte_size)
        lying = with_footer_bytes(bomb, stored, varint(1000, len(stored)))
        found = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(lying)).metadata.row_group(0)
        assert found.total_byte_size == 1000
        message = refusal(tmp_path, lying)
        assert message.startswith(f"{NAME!r}: row group 0 has 31")
        assert "more than 268,435,456" in message

    def test_more_rows_than_the_limit_are_refused_without_reading_them(self, tmp_path: Path) -> None:
        few = replace(DEFAULT_LIMITS, folder_files=5)
        path = write_folder(tmp_path / "files", {NAME: GOOD})
        with pytest.raises(DatasetError, match="have more than 5 rows"), open_source(path, few) as files:
            list(files.marks)

    def test_those_that_an_archive_compresses_are_refused_with_the_way_out(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", {NAME: GOOD}, zipfile.ZIP_DEFLATED)
        with pytest.raises(DatasetError, match=r"pack it again without compression \(zip -0\)"), open_source(path):
            pass

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(at=st.integers(0, len(GOOD) - 1), bits=st.integers(1, 255))
    def test_a_flipped_byte_is_refused_or_leaves_other_images_as_they_are(
        self, tmp_path_factory: pytest.TempPathFactory, at: int, bits: int
    ) -> None:
        data = bytearray(GOOD)
        data[at] ^= bits
        path = write_folder(tmp_path_factory.mktemp("flipped"), {NAME: bytes(data)})
        began_s = time.process_time()
        try:
            with get_source("parquet").open(path, DEFAULT_LIMITS, ()) as files:
                found = {name: files.read(name) for name in files.marks}
        except DatasetError as error:
            found = {}
            assert NAME in str(error)  # noqa: PT017  (either is right)
        good = {content for content, _, _ in ROWS}
        assert not found or len(good & set(found.values())) >= len(ROWS) - 3  # those of other row groups
        assert time.process_time() - began_s < 5

    @pytest.mark.long
    def test_no_damaged_footer_ends_the_program(self, tmp_path: Path) -> None:
        """As `pyarrow` does where it is asked for the sizes of single columns."""
        path = tmp_path / "files" / NAME
        start = len(GOOD) - 8 - int.from_bytes(GOOD[-8:-4], "little")
        path.parent.mkdir()
        refused = 0
        for at in range(start, len(GOOD)):
            path.write_bytes(GOOD[:at] + bytes([GOOD[at] ^ 0xFF]) + GOOD[at + 1 :])
            try:
                with get_source("parquet").open(path.parent, DEFAULT_LIMITS, ()) as files:
                    list(files.marks)
            except DatasetError as error:
                refused += 1
                assert NAME in str(error)  # noqa: PT017  (either is right)
        assert refused > (len(GOOD) - start) / 3  # much of it is statistics, which nothing reads


class TestRows:
    @pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "C:/x.png", "a\\x.png", "."])
    def test_paths_that_lead_out_are_refused(self, tmp_path: Path, name: str) -> None:
        message = refusal(tmp_path, parquet_file([*ROWS, (png(9), name, 0)]))
        assert message.startswith(f"{NAME!r}, row 6: the path {name!r} must be relative, without '..'")

    def test_a_long_path_is_refused_with_the_limit(self, tmp_path: Path) -> None:
        message = refusal(tmp_path, parquet_file([(png(9), "x" * 2000 + ".png", 0)]))
        assert message.endswith("has 2,004 characters; at most 1,024 are allowed")

    def test_a_label_without_a_name_says_where_and_what_is_known(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, parquet_file([*ROWS, (png(9), "9.png", 3)])) == (
            f"{NAME!r}, row 6 has the label 3, but the metadata of the file name 0 to 2; write the file again with the "
            "names of all classes"
        )

    def test_a_label_below_zero_stands_for_no_class(self, tmp_path: Path) -> None:
        """As in test splits whose labels are kept secret."""
        assert refusal(tmp_path, parquet_file([(png(9), "9.png", -1)])) == (
            f"{NAME!r}, row 0 has the label -1, which stands for no class; give the image one, or leave out the file"
        )

    @pytest.mark.parametrize("label", ["..", "a/b", "", "x" * 300])
    def test_a_class_that_is_no_folder_is_refused(self, tmp_path: Path, label: str) -> None:
        message = refusal(tmp_path, parquet_file([(png(9), "9.png", label)], classes=None))
        assert message.startswith(f"{NAME!r}, row 0: the class name {label[:100]!r} must have 1 to 255 characters")

    def test_a_name_in_two_files_names_both(self, tmp_path: Path) -> None:
        other = "train-00001-of-00002.parquet"
        path = write_folder(tmp_path / "files", {NAME: GOOD, other: GOOD})
        with pytest.raises(DatasetError) as caught, open_source(path) as files:
            list(files.marks)
        assert str(caught.value) == (
            f"member 'train/cat/0.png' appears twice, in {NAME!r} and {other!r}; give every image a name of its own"
        )

    def test_paths_without_bytes_are_refused_with_the_way_out(self, tmp_path: Path) -> None:
        message = refusal(tmp_path, parquet_file([(None, "/home/me/a.png", 0), (None, "C:\\b.png", 1)]))
        assert message.startswith(f"{NAME!r} has no images: 'image.bytes' is empty in every row")

    def test_a_row_without_an_image_is_reported_and_the_others_are_used(self, tmp_path: Path) -> None:
        more = [(png(90 + number), f"more-{number}.png", number) for number in range(3)]
        files = {**parquet_of(images()), "train-more.parquet": parquet_file([*more, (None, "/home/me/none.png", 0)])}
        (tmp_path / "work").mkdir()
        found = check_dataset("pets", write_folder(tmp_path / "files", files), tmp_path / "work")
        assert found.spec is not None
        unreadable = next(each for each in found.report.to_json()["problems"] if each["code"] == "unreadable_images")
        assert unreadable["files"] == ["train/cat/none.png"]
        assert found.spec.train_images + found.spec.test_images == len(images()) + 3

    def test_an_image_of_more_than_the_limit_reads_as_empty(self, tmp_path: Path) -> None:
        limits = replace(DEFAULT_LIMITS, image_bytes=len(png(0)))
        path = write_folder(tmp_path / "files", {NAME: parquet_file([*ROWS, (png(9, 64), "large.png", 0)])})
        with open_source(path, limits) as files:
            assert files.read("train/cat/large.png") == b""
            assert files.read("train/cat/0.png") == png(0)


class TestColumns:
    def refused(self, root: Path, columns: dict[str, pyarrow.Array]) -> str:
        return refusal(root, written(pyarrow.table(columns)))

    def pictures(self, names: Iterable[str] = ("a.png", "b.png")) -> pyarrow.Array:
        return pyarrow.array([{"bytes": png(1), "path": name} for name in names], IMAGE)

    def test_none_of_images_lists_those_there_are(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, {"text": pyarrow.array(["a"]), "label": pyarrow.array([0])})
        assert message == (
            f"{NAME!r} has no column of images, but 'text', 'label'; expected a column `image` with `bytes` and "
            "`path`, as the library `datasets` writes it"
        )

    def test_several_of_images_are_not_guessed_among(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, {"front": self.pictures(), "back": self.pictures()})
        assert message.startswith(
            f"{NAME!r} has several columns of images: 'front', 'back'; name the one to use `image`"
        )

    def test_several_of_classes_are_not_guessed_among(self, tmp_path: Path) -> None:
        columns = {"image": self.pictures(), "class": pyarrow.array([0, 1]), "category": pyarrow.array([0, 1])}
        message = self.refused(tmp_path, columns)
        assert message.startswith(f"{NAME!r} has several columns that may be the class: 'class', 'category'; name the")

    @pytest.mark.parametrize("kind", [pyarrow.float64(), pyarrow.bool_(), pyarrow.struct({"a": pyarrow.int64()})])
    def test_labels_of_another_type_are_refused(self, tmp_path: Path, kind: pyarrow.DataType) -> None:
        columns = {"image": self.pictures(), "label": pyarrow.array([None, None], kind)}
        assert f"the column 'label' is of the type {kind}; write one class" in self.refused(tmp_path, columns)

    def test_metadata_that_cannot_be_read_are_refused(self, tmp_path: Path) -> None:
        table = pyarrow.table({"image": self.pictures()}).replace_schema_metadata({"huggingface": "{" * 100})
        assert "the metadata `huggingface`, which has the names of the classes, cannot" in refusal(
            tmp_path, written(table)
        )

    def test_classes_of_one_name_are_refused(self, tmp_path: Path) -> None:
        message = refusal(tmp_path, parquet_file(ROWS, classes=["cat", "dog", "cat"]))
        assert "the classes 0 and 2 are both called 'cat', and would become one" in message


def test_without_pyarrow_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(reading, "find_spec", lambda name: None if name == "pyarrow" else found(name))
    assert refusal(tmp_path, GOOD) == (
        "Parquet files are read with pyarrow, which is not installed here: pip install 'autonl[parquet]', or save the "
        "images as class folders or tar shards"
    )
