"""What every data source must do: run by `test_sources.py` over all members of the registry.

A new source needs no test of its own for this, only a factory in `factories.py`.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from autonl_core.data.listing import ListedFiles, Listing, list_files
from autonl_core.datasets.data_source import DataSource, Location
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.sources import SOURCES, detect_source
from autonl_core.errors import DatasetError
from tests.autonl_core.datasets.sources.factories import Factory

FILES = {
    "train/cat/1.png": b"one" * 500,
    "train/cat/2.png": b"two" * 900,
    "test/dog/1.png": bytes(range(256)) * 7,
    "notes.txt": b"not an image",
}
ODD_NAMES = (
    "chien noir/ a  b .png",
    "Öl & Essig/猫.png",
    "cafe\N{COMBINING ACUTE ACCENT}/100%.png",
    "-rf/semi;colon'\".png",
    "[x]/*?.png",
    "a/b/c/d/e/f/g/h/deep.png",
    "tab\there/1.png",
)
NUMBERS = 1 << 63  # locations are stored in 64 bits


class SourceConformance:
    """Tests of one data source. Subclasses define the fixtures `source` and `factory`."""

    @pytest.fixture
    def path(self, factory: Factory, tmp_path: Path) -> Path:
        """A source with FILES."""
        path = tmp_path / "images.any"
        factory.write(path, FILES)
        return path

    # Finding a source

    def test_its_name_is_that_of_its_file(self, source: DataSource) -> None:
        assert SOURCES.get(source.name) is source
        assert type(source).__module__ == f"autonl_core.datasets.sources.{source.name.replace('-', '_')}"

    def test_its_title_has_an_article(self, source: DataSource) -> None:
        assert source.title.startswith(("a ", "an "))

    def test_it_alone_detects_what_it_can_open(self, source: DataSource, path: Path) -> None:
        assert [other.name for other in SOURCES.members() if other.detect(path)] == [source.name]
        found = detect_source(path)
        assert found is not None
        assert found.name == source.name

    def test_it_detects_no_missing_path_and_no_other_file(self, source: DataSource, tmp_path: Path) -> None:
        assert not source.detect(tmp_path / "missing")
        for content in (b"", b"some text", b"\x89PNG\r\n\x1a\n", b"\x7fELF" + bytes(100)):
            (tmp_path / "file").write_bytes(content)
            assert not source.detect(tmp_path / "file")

    def test_opening_a_missing_path_is_a_dataset_error(self, source: DataSource, tmp_path: Path) -> None:
        with (
            pytest.raises(DatasetError, match=r"no dataset at .*missing"),
            source.open(tmp_path / "missing", DEFAULT_LIMITS, ()),
        ):
            pass
        with pytest.raises(DatasetError, match=r"no dataset at .*missing"):
            list(source.locate(tmp_path / "missing", ["a.png"], DEFAULT_LIMITS))

    def test_opening_another_kind_of_file_is_a_dataset_error(self, source: DataSource, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"some text, and more of it")
        with pytest.raises(DatasetError), source.open(tmp_path / "file", DEFAULT_LIMITS, ()):
            pass

    # Listing and reading

    def test_it_lists_all_files_and_reads_them(self, source: DataSource, path: Path) -> None:
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            assert set(files.marks) == set(FILES)
            assert {name: files.read(name) for name in FILES} == FILES

    def test_names_are_kept_character_by_character(self, source: DataSource, factory: Factory, tmp_path: Path) -> None:
        contents = {name: name.encode() * 20 for name in ODD_NAMES}
        factory.write(tmp_path / "odd", contents)
        with source.open(tmp_path / "odd", DEFAULT_LIMITS, ()) as files:
            assert set(files.marks) == set(contents)
            assert {name: files.read(name) for name in files.marks} == contents
        assert self.located(source, tmp_path / "odd", list(contents)) == list(contents.values())

    def test_marks_are_stable_and_change_with_the_content(
        self, source: DataSource, factory: Factory, path: Path
    ) -> None:
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            before = dict(files.marks)
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            assert dict(files.marks) == before
        factory.write(path, FILES | {"train/cat/1.png": b"uno" * 500})  # of the same size
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            assert files.marks.keys() == before.keys()
            assert files.marks["train/cat/1.png"] != before["train/cat/1.png"]

    def test_a_missing_file_reads_as_empty(self, source: DataSource, path: Path) -> None:
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            assert files.read("train/cat/none.png") == b""
        assert self.located(source, path, ["train/cat/none.png", "notes.txt"]) == [b"", FILES["notes.txt"]]

    # Locating, and reading what was located

    def test_reading_located_files_equals_reading_by_name(self, source: DataSource, path: Path) -> None:
        names = sorted(FILES, reverse=True)  # in the order of the request, not of the source
        locations = list(source.locate(path, names, DEFAULT_LIMITS))
        assert [location.name for location in locations] == names
        assert [location.size_bytes for location in locations] == [len(FILES[name]) for name in names]
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            assert list(files.locate(names)) == locations
        reader = source.reader(path, DEFAULT_LIMITS)
        for _ in range(2):  # in any order, and again
            assert {at.name: reader.read(at) for at in reversed(locations)} == FILES

    def test_locations_fit_their_packed_form(self, source: DataSource, path: Path, tmp_path: Path) -> None:
        names = list(FILES)
        locations = list(source.locate(path, names, DEFAULT_LIMITS))
        for location in locations:
            assert isinstance(location, Location)
            assert all(-NUMBERS <= number < NUMBERS for number in location[1:])
        (tmp_path / "saved").mkdir()
        list_files(source.name, path, names, DEFAULT_LIMITS).save(tmp_path / "saved")
        listing = Listing.load(tmp_path / "saved", source.name, path)
        assert [listing.location(row) for row in range(len(listing))] == locations
        assert [ListedFiles(listing, DEFAULT_LIMITS).read(row) for row in range(len(names))] == list(FILES.values())

    def test_a_reader_does_not_need_the_process_that_located(self, source: DataSource, path: Path) -> None:
        """Decode workers get plain numbers."""
        locations = pickle.loads(pickle.dumps(list(source.locate(path, FILES, DEFAULT_LIMITS))))  # noqa: S301
        child = os.fork()
        if not child:
            reader = source.reader(path, DEFAULT_LIMITS)
            os._exit([reader.read(location) for location in locations] != list(FILES.values()))
        assert os.waitpid(child, 0)[1] == 0

    def test_a_location_of_nothing_reads_as_empty(self, source: DataSource, path: Path) -> None:
        reader = source.reader(path, DEFAULT_LIMITS)
        assert reader.read(Location("train/cat/none.png")) == b""
        assert reader.read(Location("train/cat/none.png", 1 << 40, 1000, 1000, 7)) == b""

    # Change and damage

    def test_a_file_that_changed_since_it_was_located_reads_as_empty(
        self, source: DataSource, factory: Factory, path: Path
    ) -> None:
        locations = list(source.locate(path, ["train/cat/1.png"], DEFAULT_LIMITS))
        reader = source.reader(path, DEFAULT_LIMITS)
        factory.write(path, FILES | {"train/cat/1.png": b"uno" * 500})
        for reading in (reader, source.reader(path, DEFAULT_LIMITS)):
            assert reading.read(locations[0]) in (b"", FILES["train/cat/1.png"])  # the old one, from an open file
        assert source.reader(path, DEFAULT_LIMITS).read(locations[0]) == b""

    def test_a_damaged_file_reads_as_empty_and_others_are_read(
        self, source: DataSource, factory: Factory, path: Path
    ) -> None:
        if factory.damage is None:
            pytest.skip(f"{source.title} cannot be damaged without a change of marks")
        names = list(FILES)
        locations = list(source.locate(path, names, DEFAULT_LIMITS))
        factory.damage(path, "train/cat/2.png")
        expected = [b"" if name == "train/cat/2.png" else data for name, data in FILES.items()]
        reader = source.reader(path, DEFAULT_LIMITS)
        assert [reader.read(location) for location in locations] == expected
        with source.open(path, DEFAULT_LIMITS, ()) as files:
            assert [files.read(name) for name in names] == expected

    def test_storage_marks_are_stable(self, source: DataSource, path: Path) -> None:
        assert source.storage_mark(path) == source.storage_mark(path)

    # Limits

    def test_a_file_of_more_than_the_limit_reads_as_empty(self, source: DataSource, path: Path) -> None:
        limits = Limits(image_bytes=len(FILES["train/cat/1.png"]))  # smaller than train/cat/2.png alone
        names = ["train/cat/1.png", "train/cat/2.png"]
        with source.open(path, limits, ()) as files:
            assert [files.read(name) for name in names] == [FILES[names[0]], b""]
        locations = source.locate(path, names, limits)
        reader = source.reader(path, limits)
        assert [reader.read(location) for location in locations] == [FILES[names[0]], b""]

    def test_too_many_files_are_refused_with_the_limit(self, source: DataSource, path: Path) -> None:
        few = Limits(files=len(FILES) - 1, folder_files=len(FILES) - 1)
        with pytest.raises(DatasetError, match=f"more than {len(FILES) - 1}"), source.open(path, few, ()) as files:
            list(files.marks)

    @staticmethod
    def located(source: DataSource, path: Path, names: list[str]) -> list[bytes]:
        reader = source.reader(path, DEFAULT_LIMITS)
        return [reader.read(location) for location in source.locate(path, names, DEFAULT_LIMITS)]
