"""Names in zip archives, as macOS, Java, Windows and Info-ZIP write them."""

from __future__ import annotations

import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest

from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.scan import former_fingerprint
from autonl_core.datasets.sources import SOURCES, open_source
from autonl_core.errors import DatasetError

UTF_8 = 0x800


def write(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name), b"content %d" % number)
    return path


def without_the_flag(path: Path) -> Path:
    """Clear the flag for UTF-8 in all headers."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            (flags,) = struct.unpack_from("<H", data, at + offset)
            struct.pack_into("<H", data, at + offset, flags & ~UTF_8)
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["café/1.png", "犬/1.png", "ÄÖÜ/ß.png", "Ελληνικά/1.png", "👨‍👩‍👧/1.png"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_utf_8_is_read_without_its_flag(tmp_path: Path, name: str, form: str) -> None:
    meant = unicodedata.normalize(form, name)  # type: ignore[arg-type]
    path = without_the_flag(write(tmp_path / "a.zip", meant, "plain/1.png"))
    with open_source(path) as files:
        assert set(files.marks) == {meant, "plain/1.png"}
        assert files.read(meant) == b"content 0"
        locations = list(files.locate([meant]))
    assert SOURCES.get("zip").reader(path, DEFAULT_LIMITS).read(locations[0]) == b"content 0"


def test_names_that_are_not_utf_8_stay_in_code_page_437(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", "XXXX/1.png")
    path.write_bytes(path.read_bytes().replace(b"XXXX", b"caf\x82"))
    with open_source(path) as files:
        assert list(files.marks) == ["café/1.png"]


def test_the_extra_field_of_info_zip_names_the_file_if_it_belongs_to_it(tmp_path: Path) -> None:
    for stored, expected in ((b"ab\x9f/1.png", "ab—/1.png"), (b"other", "abƒ/1.png")):
        info = zipfile.ZipInfo("XXX/1.png")
        body = b"\x01" + struct.pack("<L", zlib.crc32(stored)) + "ab—/1.png".encode()
        info.extra = struct.pack("<HH", 0x7075, len(body)) + body
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(info, b"content")
        path = tmp_path / "a.zip"
        path.write_bytes(path.read_bytes().replace(b"XXX/1.png", b"ab\x9f/1.png"))
        with open_source(path) as files:
            assert (list(files.marks), files.read(expected)) == ([expected], b"content")


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a\\..\\x.png"])
def test_an_extra_field_cannot_lead_out_of_the_archive(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("a.png")
    body = b"\x01" + struct.pack("<L", zlib.crc32(b"a.png")) + name.encode()
    info.extra = struct.pack("<HH", 0x7075, len(body)) + body
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"content")
    with pytest.raises(DatasetError, match="must have a relative name"), open_source(tmp_path / "a.zip"):
        pass


def test_two_members_that_mean_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", "é.png", "XX.png")  # the first with the flag
    path.write_bytes(path.read_bytes().replace(b"XX.png", "é.png".encode()))
    with pytest.raises(DatasetError, match="appears twice"), open_source(path):
        pass


def test_earlier_versions_knew_the_same_archive_by_the_names_as_they_are_stored(tmp_path: Path) -> None:
    path = without_the_flag(write(tmp_path / "a.zip", "é.png", "b.png"))
    with open_source(path) as files:
        former = "é.png".encode().decode("cp437")
        assert files.read(former) == files.read("é.png") == b"content 0"
        assert former_fingerprint(files) != ""
        assert set(files.former_marks) == {former, "b.png"}  # type: ignore[attr-defined]


def test_deflate64_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", "a.png")
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, 9)
    path.write_bytes(data)
    with (
        pytest.raises(DatasetError, match=r"Deflate64, as Windows Explorer does above 2 GB; .* 7-Zip"),
        open_source(path),
    ):
        pass
